"""The stages of the straight line: one file a stage, frozen values between them (floor 5)."""
