"""How a width multiplier rounds channels (no torch)."""

from __future__ import annotations


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, at least one, that is no less than 90 % of `channels`.

    The rule of all networks since MobileNetV2: `_make_divisible` of TF-slim and torchvision.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
