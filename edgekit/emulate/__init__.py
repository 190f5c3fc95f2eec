"""Running a model as its target would (floor 3)."""
