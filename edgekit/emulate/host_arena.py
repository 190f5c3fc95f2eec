"""The arena of a TFLite Micro bundle, tried on the host.

A bundle declares the arena that its 32-bit board needs. The host's pointers have 64 bits and its
build keeps statistics, so the same model needs more here; how much, the same planner predicts. What
can be tried is that: an arena of exactly the host's prediction must be enough. A graph, its file
and a sample enter; a `HostArena` leaves.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgekit.convert import tflite_reader
from edgekit.emulate.engine import Engine, start
from edgekit.emulate.samples import Sample
from edgekit.emulate.tflm import LEAST_ARENA_BYTES, smallest_arena
from edgekit.errors import UnsupportedError
from edgekit.graph.ir import Graph
from edgekit.plan.arena import plan_arena
from edgekit.plan.tflm_memory import HOST


@dataclass(frozen=True)
class HostArena:
    """What the trial showed.

    Attributes:
        predicted_bytes: for the host's build.
        needed_bytes: more than predicted, where that was not enough; None where it was.
    """

    predicted_bytes: int
    needed_bytes: int | None = None

    @property
    def is_enough(self) -> bool:
        """Whether the model ran in an arena of the predicted size."""
        return self.needed_bytes is None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "enough": self.is_enough}


def try_host_arena(graph: Graph, tflite: bytes, sample: Sample) -> HostArena:
    """Run a sample in an arena of exactly the size predicted for this host.

    Raises:
        MissingToolError: the `tflite-micro` wheel is not installed.
        UnsupportedError: TFLite Micro refuses the model in any arena.
        InputError: the sample does not fit the model.
    """
    with start(Engine.TFLM, tflite) as session:
        session.run(sample)
    offsets = tflite_reader.read_offsets(tflite)
    planned = plan_arena(graph, HOST, offsets, list(graph.tensors))
    predicted_bytes = max(planned.arena_bytes, LEAST_ARENA_BYTES)
    try:
        with start(Engine.TFLM, tflite, arena_bytes=predicted_bytes) as session:
            session.run(sample)
    except UnsupportedError:
        return HostArena(predicted_bytes, smallest_arena(tflite))
    return HostArena(predicted_bytes)
