"""One file a family, and nothing else: `registry` reads `ARCHITECTURES` of every file in here."""
