"""The command line: parse, call, print, exit code (floor 7)."""
