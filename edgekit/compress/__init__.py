"""Making a graph smaller: calibration, quantization, pruning (floor 2)."""
