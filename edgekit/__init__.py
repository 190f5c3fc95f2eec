"""edgekit: from a CNN architecture to verified firmware for small devices."""

__version__ = "0.1.0"
