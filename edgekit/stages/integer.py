"""The float network becomes integers: aligned, calibrated, quantized, written as TFLite.

An `Entry` and calibration data enter; an `Integer` leaves: the int8 graph, its file, and the
preprocessing with the input's scale and zero point. A TFLite file passes through as it is, unless
it holds more than the network.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from edgekit.compress.align_input import align_input
from edgekit.compress.calibrate import calibrate
from edgekit.compress.choose_ranges import Calibration, choose_ranges
from edgekit.compress.quantize import quantize
from edgekit.compress.quantized import Bench, Quantized
from edgekit.convert import tflite_writer
from edgekit.convert.tflite_model import read_model
from edgekit.graph.ir import DType, Graph
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.stages.entry import Entry
from edgekit.stages.material import Material
from edgekit.stages.request import Converter

_WRITTEN_ANEW = (
    "The TFLite file is written anew: the given one holds operators or tensors that the network as "
    "deployed has no need of."
)
_UINT8_OFFSET = 128  # a legacy uint8 input is the int8 one plus 128


class Clock(Protocol):
    """Takes the time of a stage."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """The block's seconds count for this stage."""


@dataclass(frozen=True, eq=False)
class Integer:
    """The integer network.

    Attributes:
        graph: int8 (or as a TFLite file has it).
        tflite: the same as a file.
        contract: how pictures enter it, quantization included; None if it reads none.
        warnings: what calibration found doubtful, or that a file was not left as it is.
        origin: what the integers were made of, and what repairs of them may work with; None for a
            file that holds integers already.
    """

    graph: Graph
    tflite: bytes
    contract: Preprocessing | None
    warnings: tuple[str, ...] = ()
    origin: tuple[Quantized, Bench] | None = None


def to_integers(
    entry: Entry,
    material: Material,
    *,
    softmax: bool,
    clock: Clock,
    progress: Progress,
    calibration: Calibration = "minmax",
    converter: Converter = "edgekit",
) -> Integer:
    """The integer network of an entry.

    Args:
        softmax: append one to a row of logits.
        calibration: what sets the ranges.
        converter: who quantizes.

    Raises:
        InputError, UnsupportedError: see `calibrate`, `quantize` and `convert.tensorflow`.
    """
    if entry.ready is not None:
        tflite = entry.tflite or tflite_writer.write(entry.ready)
        warnings = () if entry.tflite else (_WRITTEN_ANEW,)
        return Integer(entry.ready, tflite, _quantized(entry.contract, entry.ready), warnings)
    assert entry.float_graph is not None  # `Entry` holds one of the two
    graph, contract = entry.float_graph, entry.contract
    if contract is not None:
        graph, contract = align_input(graph, contract)
    if converter == "tensorflow":
        with clock.stage("quantize"):
            return _by_tensorflow(graph, contract, material, softmax, progress)
    reals = None if contract is None else _pixel_range(contract)
    quantizer = partial(quantize, softmax=softmax, input_range=reals)
    bench = Bench(lambda: material.batches(contract, silent), quantizer, progress=progress)
    with clock.stage("calibrate"):
        ranges = calibrate(graph, material.batches(contract, progress), reals=reals)
        ranges = choose_ranges(calibration, graph, ranges, bench)
    with clock.stage("quantize"):
        integer = quantizer(graph, ranges)
    with clock.stage("write"):
        tflite = tflite_writer.write(integer)
    origin = Quantized(graph, ranges, integer), bench
    return Integer(integer, tflite, _quantized(contract, integer), ranges.warnings, origin)


def _by_tensorflow(
    graph: Graph,
    contract: Preprocessing | None,
    material: Material,
    softmax: bool,
    progress: Progress,
) -> Integer:
    """As TensorFlow's converter makes it, on the same calibration samples."""
    from edgekit.convert import tensorflow

    batches = material.batches(contract, progress)
    integer, tflite = read_model(tensorflow.convert(graph, batches, softmax=softmax))
    note = f"Quantized by {tensorflow.version()} (--converter tensorflow), not by edgekit."
    return Integer(integer, tflite, _quantized(contract, integer), (note,))


def _pixel_range(contract: Preprocessing) -> tuple[float, float]:
    """The reals that pixels 0 to 255 can become."""
    ends = contract.normalize(np.array([[0], [255]], np.uint8).repeat(contract.channels, axis=1))
    return float(ends.min()), float(ends.max())


def _quantized(contract: Preprocessing | None, graph: Graph) -> Preprocessing | None:
    """The contract with the input's quantization; a float input has none."""
    source = graph.tensors[graph.inputs[0]]
    if contract is None or source.quantization is None:
        return contract
    offset = _UINT8_OFFSET if source.dtype is DType.UINT8 else 0
    return contract.quantized(source.quantization.scale, source.quantization.zero_point - offset)
