"""Structured pruning of trained networks."""
