"""Source text and arrays for a target (floor 3)."""
