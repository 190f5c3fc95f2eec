"""Graph(int8) -> Program: which kernel computes each node, with which constants."""
