"""The rungs of the repair ladder, from cheap to dear; one file a rung.

To add one: a file here that makes a `Rung`, and its place in `LADDER`. Rungs that need torch are
imported when they are climbed.
"""

from __future__ import annotations

from edgekit.compress.ladder import Rung
from edgekit.compress.repairs.bias_correction import BIAS_CORRECTION

LADDER: tuple[Rung, ...] = (BIAS_CORRECTION,)
