"""Boards, what they support and what fits on them (floor 2)."""
