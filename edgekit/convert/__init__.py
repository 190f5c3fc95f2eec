"""Between formats: torch, ONNX, Graph, TFLite (floor 2)."""
