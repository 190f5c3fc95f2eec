"""Images in, split and preprocessed (floor 2)."""
