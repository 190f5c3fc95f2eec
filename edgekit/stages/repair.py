"""Accuracy repairs: the integer network climbs the ladder where the user asks for it.

A request, the plain integer network and data enter; the repaired network leaves, with a step for
each rung. Rungs work with calibration and training pictures and are judged on the validation split;
the test split decides nothing. Arrays have no splits: every fourth is held out of the calibration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.compress.ladder import Goal, Step, chosen, climb
from edgekit.compress.quantized import Lesson, to_input
from edgekit.compress.repairs import LADDER
from edgekit.convert import tflite_writer
from edgekit.errors import UsageError
from edgekit.graph.ir import Graph
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.report.evaluate import network_input
from edgekit.report.judge import Held, Judge
from edgekit.stages.entry import Entry
from edgekit.stages.integer import Clock, Integer
from edgekit.stages.material import Material
from edgekit.stages.request import Request

ALL = "all"
_MOST_IMAGES = 1024  # of the validation split; more would tell rungs hardly better apart


@dataclass(frozen=True)
class Climb:
    """What the ladder did.

    Attributes:
        steps: the foot and every rung that was tried.
        images: the rungs were judged on.
        split: their name: "validation" or "held out".
    """

    steps: tuple[Step, ...]
    images: int
    split: str

    def to_json(self) -> dict[str, Any]:
        """The report's "repair" and "repair_on" sections."""
        return {
            "repair": [step.to_json() for step in self.steps],
            "repair_on": {"split": self.split, "images": self.images},
        }


def repaired(
    request: Request,
    entry: Entry,
    integer: Integer,
    material: Material,
    clock: Clock,
    progress: Progress,
) -> tuple[Integer, Climb | None]:
    """The integer network after as many rungs as it needs; as it was without `--repair`.

    Raises:
        UsageError: no float network or no data to repair with, or no such rung.
    """
    if request.repair is None:
        return integer, None
    names = None if request.repair == ALL else request.repair.split(",")
    rungs = chosen(LADDER, names)
    if integer.origin is None or entry.float_graph is None:
        raise UsageError(
            "--repair needs the float network; a .tflite file holds integers already.",
            hint="Give the network as .onnx, or an architecture.",
        )
    network, bench = integer.origin
    threads = request.threads or os.cpu_count() or 1
    bench = replace(
        bench,
        lessons=_lessons(request, integer, material),
        seed=request.seed,
        threads=threads,
        progress=progress,
    )
    held, split = _held(request, entry, integer, material)
    goal = Goal(request.max_drop) if names is None else None
    with clock.stage("repair"):
        judge = Judge(entry.float_graph, held, threads)
        best, steps = climb(network, rungs, bench, judge, goal)
    mended = replace(
        integer,
        graph=best.integer,
        tflite=tflite_writer.write(best.integer),
        origin=(best, bench),
    )
    return mended, Climb(steps, held.count, split)


def _held(request: Request, entry: Entry, integer: Integer, material: Material) -> tuple[Held, str]:
    """What the rungs are judged on, and its name."""
    if material.held is not None:
        arrays = material.held
        count = len(arrays)
        classes = not request.embedding and _is_row(integer.graph)
        held = Held(count, arrays.__getitem__, lambda g, i: to_input(g, arrays[i]), None, classes)
        return held, "held out"
    assert material.dataset is not None and entry.contract is not None  # nothing else calibrates
    trained, deployed = entry.contract, _contract(integer)
    split = material.dataset.splits["validation"]
    if len(split) == 0:
        raise UsageError("--repair judges its rungs on the validation split, which is empty.")
    order = np.random.default_rng(request.seed).permutation(len(split))[:_MOST_IMAGES]
    order.sort()
    output = integer.graph.tensors[integer.graph.outputs[0]]
    classes = not request.embedding and _is_row(integer.graph)
    labelled = classes and output.elements == len(material.dataset.labels)
    held = Held(
        len(order),
        lambda chunk: trained.normalize(split.pixels(order[chunk], trained)),
        lambda graph, chunk: network_input(graph, deployed, split.pixels(order[chunk], deployed)),
        split.targets[order] if labelled else None,
        classes,
    )
    return held, "validation"


def _is_row(graph: Graph) -> bool:
    """Whether the only output is a row of numbers, which may be classes."""
    output = graph.tensors[graph.outputs[0]]
    return len(graph.outputs) == 1 and output.elements == output.shape[-1] > 1


def _contract(integer: Integer) -> Preprocessing:
    assert integer.contract is not None  # there is one wherever there are pictures
    return integer.contract


def _lessons(
    request: Request, integer: Integer, material: Material
) -> Callable[[int, int], Iterable[Lesson]] | None:
    """Passes over the training split, shuffled anew each epoch; None where nothing is labelled."""
    if material.dataset is None or integer.contract is None or request.embedding:
        return None
    split, contract = material.dataset.splits["train"], integer.contract
    output = integer.graph.tensors[integer.graph.outputs[0]]
    if len(split) == 0 or output.elements != len(material.dataset.labels):
        return None

    def lessons(epoch: int, size: int) -> Iterator[Lesson]:
        order = np.random.default_rng((request.seed, epoch)).permutation(len(split))
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            yield contract.normalize(split.pixels(batch, contract)), split.targets[batch]

    return lessons
