"""Dilated convolutions by way of the batch: one convolution with the same bits."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_file import File

from edgekit.convert.tflite_model import mirrors, read_model
from edgekit.convert.tflite_reader import read
from edgekit.emulate import litert, tflm
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Padding

INT8 = 9
INTO, BACK, CONV, DEPTHWISE, EXPAND, RESHAPE = 38, 37, 3, 4, 70, 22
VALID = 1


def quantized(scale: Any, zero_point: int = 0, axis: int = 0) -> Any:
    scales = np.atleast_1d(np.array(scale, np.float32))
    zero_points = np.full(len(scales), zero_point, np.int64)
    return schema.QuantizationParametersT(
        scale=scales, zeroPoint=zero_points, quantizedDimension=axis
    )


class Dilated:
    """A chain with random sizes, pads and crops; the shapes in it true, or those of batch 1."""

    def __init__(self, seed: int, *, free: bool = False, **given: Any) -> None:
        rng = np.random.default_rng(seed)
        self.zero_point = int(rng.choice([0, rng.integers(-128, 128)]))
        self.line = given.get("line", bool(rng.integers(2)))
        self.free = free
        self.depthwise = given.get("depthwise", bool(rng.integers(2)))
        self.kernel = [int(k) for k in rng.integers(1, 4, 2)]
        self.block = [int(b) for b in rng.integers(1, 4, 2)]
        if self.line:
            self.kernel[0], self.block[0] = 1, 1
        self.channels, self.filters = int(rng.integers(1, 5)), int(rng.integers(1, 6))
        if self.depthwise:
            self.filters = self.channels
        self.pads, self.crops, self.size = [], [], []
        for k, b in zip(self.kernel, self.block, strict=True):
            size, before = int(rng.integers(5, 13)), int(rng.integers(0, (k - 1) * b + 1))
            after = before + (-(size + 2 * before)) % b
            while (size + before + after) // b < k:
                after += b
            self.size.append(size)
            self.pads.append((before, after))
            left = (size + before + after) - (k - 1) * b
            crop = int(rng.integers(2))
            fits = min(before, after) >= crop and left > 2 * crop
            self.crops.append((crop, crop) if fits else (0, 0))
        if self.line:
            self.size[0], self.pads[0], self.crops[0] = 1, (0, 0), (0, 0)
        self.rng, self.file = rng, File()

    def shape(self, batch: int, size: list[int], channels: int, line: bool) -> dict[str, Any]:
        """The arguments of a tensor; with a free batch, what files say of it."""
        whole = [1 if self.free else batch, *size[1 if line else 0 :], channels]
        signature = [-1, *whole[1:]] if self.free else None
        return {"shape": whole, "kind": INT8, "signature": signature}

    def data(self) -> bytes:
        file, line = self.file, self.line
        pieces = self.block[0] * self.block[1]
        cut = [(s + sum(p)) // b for s, p, b in zip(self.size, self.pads, self.block, strict=True)]
        slid = [c - k + 1 for c, k in zip(cut, self.kernel, strict=True)]
        whole = [s * b - sum(c) for s, b, c in zip(slid, self.block, self.crops, strict=True)]
        axes = slice(1 if line else 0, 2)
        q, out = quantized(0.04, self.zero_point), quantized(0.09, -5)
        blocks = file.ints(*self.block[axes])
        x = file.tensor(**self.shape(1, self.size, self.channels, line), quantization=q)
        pads = np.array(self.pads[axes], np.int32)
        y = file.op(
            INTO,
            [x, blocks, file.tensor(pads.shape, pads)],
            **self.shape(pieces, cut, self.channels, line),
            quantization=q,
        )
        if line:
            axis = file.scalar(-3)
            y = file.op(
                EXPAND, [y, axis], **self.shape(pieces, cut, self.channels, False), quantization=q
            )
        y = self.convolution(y, self.shape(pieces, slid, self.filters, False), out)
        if line:
            target = file.ints(-1, slid[1], self.filters)
            more = self.shape(pieces, slid, self.filters, True)
            y = file.op(RESHAPE, [y, target], **more, quantization=out)
        crops = np.array(self.crops[axes], np.int32)
        y = file.op(
            BACK,
            [y, blocks, file.tensor(crops.shape, crops)],
            **self.shape(1, whole, self.filters, line),
            quantization=out,
        )
        return file.data([x], [y])

    def convolution(self, y: int, shape: dict[str, Any], out: Any) -> int:
        rng, filters = self.rng, self.filters
        dims = [1 if self.depthwise else filters, *self.kernel, self.channels]
        values = rng.integers(-127, 128, dims).astype(np.int8)
        scales = rng.uniform(0.002, 0.006, filters)
        axis = 3 if self.depthwise else 0
        weights = self.file.tensor(
            dims, values, kind=INT8, quantization=quantized(scales, axis=axis)
        )
        bias = self.file.tensor([filters], rng.integers(-900, 900, filters, np.int32))
        kind = schema.DepthwiseConv2DOptionsT if self.depthwise else schema.Conv2DOptionsT
        options = kind(padding=VALID, strideH=1, strideW=1)
        if self.depthwise:
            options.depthMultiplier = 1
        code = DEPTHWISE if self.depthwise else CONV
        return self.file.op(code, [y, weights, bias], **shape, quantization=out, options=options)


def samples(graph: Graph, seed: int) -> list[np.ndarray]:
    shape = graph.tensors[graph.inputs[0]].shape
    return [np.random.default_rng(seed).integers(-128, 128, (3, *shape[1:])).astype(np.int8)]


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_same_bits_as_the_runtimes(seed: int, free: bool) -> None:
    """LiteRT computes both kinds of file; TFLite Micro that of fixed shapes, and ours always."""
    case = Dilated(seed, free=free)
    data = case.data()
    graph, written = read_model(data)
    assert all("BATCH" not in node.op.tflite_name for node in graph.nodes)
    assert mirrors(written, graph) and not mirrors(data, graph)
    inputs = samples(graph, seed)
    (ours,) = run(graph, inputs)
    np.testing.assert_array_equal(ours, litert.run(data, inputs, litert.Kernels.REFERENCE)[0])
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    np.testing.assert_array_equal(ours, tflm.run(written, inputs)[0])
    if not free and case.zero_point == 0:  # TFLite Micro's SPACE_TO_BATCH_ND pads with raw zeros
        np.testing.assert_array_equal(ours, tflm.run(data, inputs)[0])


def test_same_padding_needs_no_pad() -> None:
    case = Dilated(0, line=False, depthwise=False)
    case.kernel, case.block, case.size = [3, 3], [2, 2], [8, 10]
    case.pads, case.crops = [(2, 2), (2, 2)], [(0, 0), (0, 0)]
    (node,) = read(case.data()).nodes
    assert node.op.padding is Padding.SAME and node.op.dilation == (2, 2)  # type: ignore[attr-defined]


def test_cropping_more_than_was_padded_is_refused() -> None:
    case = Dilated(0, line=False, depthwise=False)
    case.kernel, case.block, case.size = [3, 3], [2, 2], [8, 8]
    case.pads, case.crops = [(0, 0), (0, 0)], [(1, 0), (0, 0)]
    with pytest.raises(UnsupportedError, match=r"SPACE_TO_BATCH_ND, which writes 't\d'"):
        read(case.data())


def test_weights_that_do_not_fit_are_refused() -> None:
    case = Dilated(0, line=False, depthwise=False)
    case.kernel, case.block, case.size, case.channels = [3, 3], [2, 2], [8, 8], 4
    case.pads, case.crops = [(2, 2), (2, 2)], [(0, 0), (0, 0)]
    model = schema.ModelT.InitFromPackedBuf(case.data(), 0)
    weights = next(t for t in model.subgraphs[0].tensors if list(t.shape)[1:] == [3, 3, 4])
    weights.shape = np.array([*weights.shape[:3], 2, 2], np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(UnsupportedError, match="SPACE_TO_BATCH_ND"):
        read(bytes(builder.Output()))
