"""The graph: one value that every later stage reads (floor 1)."""
