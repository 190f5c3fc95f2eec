"""Training a module and keeping its checkpoints (floor 3)."""
