"""The rungs of the repair ladder, from cheap to dear; one file a rung.

To add one: a file here that makes a `Rung`, and its place in `LADDER`. Rungs that need torch import
it when they are climbed. Those that quantize anew come before those that change integers alone.
"""

from __future__ import annotations

from edgekit.compress.ladder import Rung
from edgekit.compress.repairs.better_ranges import BETTER_RANGES
from edgekit.compress.repairs.bias_correction import BIAS_CORRECTION
from edgekit.compress.repairs.block_reconstruction import BLOCK_RECONSTRUCTION
from edgekit.compress.repairs.equalization import EQUALIZATION
from edgekit.compress.repairs.qat import QAT
from edgekit.compress.repairs.simpler_activations import SIMPLER_ACTIVATIONS

LADDER: tuple[Rung, ...] = (
    BETTER_RANGES,
    EQUALIZATION,
    BIAS_CORRECTION,
    BLOCK_RECONSTRUCTION,
    QAT,
    SIMPLER_ACTIVATIONS,
)
