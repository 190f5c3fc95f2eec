"""Architectures as literal tables, and the modules built from them (floor 2)."""
