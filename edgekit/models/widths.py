"""How a width multiplier becomes channels, where no paper has a rule of its own (no torch)."""

from __future__ import annotations

from edgekit.errors import UsageError

# Kernels for these chips compute four or eight channels at a time.
DIVISOR = 8


def scaled(channels: int, alpha: float) -> int:
    """Channels at width alpha: the nearest multiple of 8 (halves up), at least 8.

    Raises:
        UsageError: alpha leaves less than one channel.
    """
    if channels * alpha < 1:
        raise UsageError(
            f"Width multiplier {alpha:g} leaves a layer of {channels} channels with none.",
            hint=f"At least {1 / channels:g} works here; usual ones lie between 0.25 and 2.",
        )
    return max(DIVISOR, int(channels * alpha / DIVISOR + 0.5) * DIVISOR)
