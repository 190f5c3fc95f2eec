"""One file a backend: a plan in, the files of a bundle out (floor 4)."""
