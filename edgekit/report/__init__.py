"""What was measured, and how it is shown (floor 3)."""
