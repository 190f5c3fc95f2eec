"""What a firmware takes of its chip, and whether it computes what it should.

A firmware enters; a `Bench` leaves: instructions by layer, memory, and on seeded random inputs
whether the chip's bits are those of edgekit's arithmetic and of TFLite Micro.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.emulate.chip.chip_run import ChipRun, chip_run
from edgekit.emulate.chip.firmware import EngineName, Firmware, chip_for
from edgekit.emulate.chip.inference import Inferences
from edgekit.emulate.engine import Engine, start
from edgekit.emulate.samples import Values, each, random_samples, reference_outputs
from edgekit.errors import MissingToolError, UnsupportedError
from edgekit.progress import Progress, silent


@dataclass(frozen=True)
class Bench:
    """What was measured.

    Attributes:
        run: instructions and memory.
        samples: random inputs that ran.
        bit_exact: whether everybody that was asked gave the chip's outputs for all of them.
        compared_with: who was asked.
        not_compared: why TFLite Micro was not, if so.
    """

    run: ChipRun
    samples: int
    bit_exact: bool
    compared_with: tuple[str, ...]
    not_compared: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = self.run.to_json()
        del values["ending"]
        return {
            **values,
            "bit_exact": self.bit_exact,
            "samples": self.samples,
            "compared_with": list(self.compared_with),
            "not_compared": self.not_compared,
        }


def bench(
    firmware: Firmware,
    tflite: bytes,
    engine: EngineName | None = None,
    *,
    samples: int = 3,
    seed: int = 0,
    progress: Progress = silent,
) -> Bench:
    """Run seeded random inputs through a firmware.

    Args:
        firmware: to measure.
        tflite: the model it was made from, for TFLite Micro.
        engine: who emulates; see `chip_for`.
        samples: how many inputs.
        seed: of them.
        progress: told the samples done.

    Raises:
        MissingToolError, UnsupportedError: see `chip_for`.
        ChipFaultError: the chip refused what the firmware did.
    """
    graph = firmware.model
    chip = chip_for(firmware, engine)
    runs = Inferences(chip, firmware)
    inputs = random_samples(graph, samples, seed)
    inferences = []
    for sample in each(inputs):
        inferences.append(runs.run(sample))
        progress("run on the chip", len(inferences), samples)
    given = [one.outputs for one in inferences]
    exact, asked, reason = _equal(given, each(reference_outputs(graph, inputs))), ["edgekit"], ""
    try:
        with start(Engine.TFLM, tflite) as session:
            answers = [session.run(sample)[0] for sample in each(inputs)]
            asked.append(session.version)
        exact = exact and _equal(given, answers)
    except (MissingToolError, UnsupportedError) as error:
        reason = str(error)
    run = chip_run(firmware, chip.title, inferences)
    return Bench(run, samples, exact, tuple(asked), reason)


def _equal(ours: Sequence[Sequence[Values]], theirs: Iterable[Sequence[Values]]) -> bool:
    return all(
        np.array_equal(mine, other, equal_nan=mine.dtype.kind == "f")
        for mine_all, other_all in zip(ours, theirs, strict=True)
        for mine, other in zip(mine_all, other_all, strict=True)
    )
