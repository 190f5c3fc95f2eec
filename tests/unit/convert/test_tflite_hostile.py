"""Models that contradict themselves, or use what edgekit does not know, each refused by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.errors import EdgekitError, InputError, UnsupportedError
from edgekit.graph import ops

flatbuffers = pytest.importorskip("flatbuffers")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class Damaged:
    """The small convnet in the schema's object API, to be damaged; knows tensors by name."""

    def __init__(self) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(write(convnet()))
        self.graph = self.model.subgraphs[0]
        self.operators = self.graph.operators
        self.index = {tensor.name.decode(): i for i, tensor in enumerate(self.graph.tensors)}

    def tensor(self, name: str) -> Any:
        return self.graph.tensors[self.index[name]]

    def buffer(self, name: str) -> Any:
        return self.model.buffers[self.tensor(name).buffer]

    def quantization(self, name: str, **values: Any) -> None:
        for key, value in values.items():
            setattr(self.tensor(name).quantization, key, value)


def shape(name: str, dims: list[int]) -> Callable[[Damaged], None]:
    return lambda d: setattr(d.tensor(name), "shape", np.array(dims, np.int32))


def op_field(index: int, field: str, value: Any) -> Callable[[Damaged], None]:
    return lambda d: setattr(d.operators[index], field, value)


def option(index: int, field: str, value: Any) -> Callable[[Damaged], None]:
    return lambda d: setattr(d.operators[index].builtinOptions, field, value)


def tensor_field(name: str, field: str, value: Any) -> Callable[[Damaged], None]:
    return lambda d: setattr(d.tensor(name), field, value)


def scales(name: str, **values: Any) -> Callable[[Damaged], None]:
    return lambda d: d.quantization(name, **values)


def one(value: float) -> Any:
    return np.array([value], np.float32)


def swap_nodes(d: Damaged) -> None:
    d.operators[0], d.operators[1] = d.operators[1], d.operators[0]


def write_twice(d: Damaged) -> None:
    d.operators[1].outputs = d.operators[0].outputs


def write_constant(d: Damaged) -> None:
    d.operators[1].outputs = np.array([d.index["stem/weights"]], np.int32)


def constant_input(d: Damaged) -> None:
    d.graph.inputs = np.array([d.index["stem/weights"]], np.int32)


def short_buffer(d: Damaged) -> None:
    d.buffer("stem/weights").data = d.buffer("stem/weights").data[:-1]


INVALID: dict[str, tuple[Callable[[Damaged], None], str]] = {
    "tensor index": (op_field(0, "inputs", np.array([0, 999, 1], np.int32)), "tensor 999 of"),
    "negative index": (op_field(0, "inputs", np.array([-7, 1, 2], np.int32)), "tensor -7 of"),
    "absent data": (op_field(0, "inputs", np.array([-1, 1, 2], np.int32)), "tensor -1 of"),
    "border index": (lambda d: setattr(d.graph, "outputs", [12345]), "tensor 12345 of"),
    "no inputs": (lambda d: setattr(d.graph, "inputs", []), "before it is written"),
    "no outputs": (lambda d: setattr(d.graph, "outputs", []), "at least one input and one output"),
    "buffer index": (tensor_field("stem", "buffer", 77), "'stem' has buffer 77 of"),
    "opcode index": (op_field(3, "opcodeIndex", 50), "operator 3 has code 50 of"),
    "node without output": (op_field(0, "outputs", []), "operator 0 has no output"),
    "order": (swap_nodes, r"DEPTHWISE_CONV_2D\) reads 'stem' before it is written"),
    "two writers": (write_twice, "writes 'stem', which has a value already"),
    "constant written": (write_constant, "writes 'stem/weights', which has a value already"),
    "constant input": (constant_input, "a constant among its inputs"),
    "short buffer": (short_buffer, "'stem/weights' needs 216 bytes, its buffer has 215"),
    "overflowing shape": (shape("stem", [1 << 30] * 4), "'stem' .* larger than 2 GiB"),
    "overflow around a zero": (shape("stem", [1 << 30, 1 << 30, 1 << 30, 0]), "larger than 2 GiB"),
    "empty activation": (shape("stem", [1, 8, 0, 8]), "writes 'stem', which has a value already"),
    "wrong shape": (shape("down", [1, 4, 4, 9]), r"declared \[1, 4, 4, 9\], .* \[1, 4, 4, 12\]"),
    "NaN scale": (scales("stem", scale=one(np.nan)), "'stem' has a scale that is not a positive"),
    "infinite scale": (scales("image", scale=one(np.inf)), "'image' has a scale that is not"),
    "zero scale": (scales("image", scale=one(0)), "'image' has a scale that is not"),
    "zero point": (scales("stem", zeroPoint=np.array([200])), r"'stem' has a zero point outside"),
    "scale count": (
        scales("stem/weights", scale=np.ones(3, np.float32), zeroPoint=np.zeros(3, np.int64)),
        r"'stem/weights' \[8, 3, 3, 3\] has 3 scales along dimension 0",
    ),
    "zero point count": (
        scales("stem/weights", zeroPoint=np.zeros(3, np.int64)),
        "has 8 scales and 3 zero points",
    ),
    "weights' dimension": (
        scales("block/pointwise/weights", quantizedDimension=3),
        "'block/pointwise/weights' have scales along dimension 3, not 0",
    ),
    "bias scale": (
        scales("classifier/bias", scale=one(3.0)),
        r"'classifier' \(FULLY_CONNECTED\): its bias 'classifier/bias' has scale 3 in channel 0",
    ),
    "stride 0": (option(0, "strideH", 0), "stride 0"),
    "negative dilation": (option(0, "dilationWFactor", -5), "dilation -5"),
    "pool of nothing": (option(6, "filterWidth", 0), "window 0"),
    "padding": (option(0, "padding", 9), "Operator 0, CONV_2D.*padding has the unknown number 9"),
    "activation": (option(0, "fusedActivationFunction", 99), "activation has the unknown number"),
    "depth multiplier": (option(1, "depthMultiplier", 2), "has the depth multiplier 2"),
    "kind of options": (op_field(0, "builtinOptionsType", 5), "options are of kind 5, not 1"),
    "beta": (option(9, "beta", float("nan")), "beta is nan"),
    "other operator": (op_field(0, "opcodeIndex", 1), "options are of kind 1, not 2"),
}

NOT_KNOWN: dict[str, tuple[Callable[[Damaged], None], str]] = {
    "schema version": (lambda d: setattr(d.model, "version", 2), "version 2"),
    "subgraphs": (lambda d: d.model.subgraphs.append(d.graph), "2 subgraphs"),
    "no subgraph": (lambda d: d.model.subgraphs.clear(), "0 subgraphs"),
    "dynamic shape": (shape("stem", [1, -1, 8, 8]), "'stem' has the dynamic shape"),
    "open height": (
        tensor_field("image", "shapeSignature", [1, -1, 16, 3]),
        r"'image' has the dynamic shape \[1, -1, 16, 3\]",
    ),
    "rank 9": (shape("stem", [1] * 9), "'stem' has more than 8 dimensions"),
    "variable": (tensor_field("stem", "isVariable", True), "'stem' is a variable"),
    "sparse": (
        tensor_field("stem/weights", "sparsity", schema.SparsityParametersT()),
        "'stem/weights' is stored sparse",
    ),
    "string": (tensor_field("stem", "type", 5), "'stem' has elements of type STRING"),
    "float16": (tensor_field("stem", "type", 1), "'stem' is computed in float16"),
    "bfloat16": (tensor_field("stem/weights", "type", 18), "of type BFLOAT16"),
    "unknown type": (tensor_field("stem", "type", 99), "of type 99"),
    "external buffer": (
        lambda d: setattr(d.buffer("stem/weights"), "offset", 4096),
        "'stem/weights' is stored outside",
    ),
    "external buffer id": (tensor_field("stem", "externalBuffer", 3), "'stem' is stored outside"),
    "blockwise": (
        scales("stem/weights", detailsType=2, details=schema.BlockwiseQuantizationT()),
        "'stem/weights' has a custom or blockwise",
    ),
    "per-channel activation": (
        scales(
            "stem",
            scale=np.ones(8, np.float32),
            zeroPoint=np.zeros(8, np.int64),
            quantizedDimension=3,
        ),
        "'stem' has a scale for each channel",
    ),
    "fused tanh": (option(0, "fusedActivationFunction", 4), "Operator 0, CONV_2D.*fused TANH"),
    "shuffled weights": (option(8, "weightsFormat", 1), "stored shuffled"),
    "int8 zero point": (
        scales("classifier/weights", zeroPoint=np.array([3])),
        "'classifier/weights' have a zero point other than 0",
    ),
    "hybrid": (tensor_field("image", "type", 0), "'image' float32"),
}


def damage(change: Callable[[Damaged], None]) -> bytes:
    damaged = Damaged()
    change(damaged)
    return pack(damaged.model)


@pytest.mark.parametrize("what", INVALID)
def test_invalid_models(what: str) -> None:
    change, message = INVALID[what]
    with pytest.raises(InputError, match=message):
        read(damage(change))


@pytest.mark.parametrize("what", NOT_KNOWN)
def test_unsupported_models(what: str) -> None:
    change, message = NOT_KNOWN[what]
    with pytest.raises(UnsupportedError, match=message):
        read(damage(change))


def test_the_undamaged_model_is_read() -> None:
    assert read(damage(lambda d: None)).nodes[0].name == "stem"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers(bad: float) -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4))
    b.add(ops.Add(), x, b.constant("c", np.array([1, bad, 2, 3], np.float32)))
    with pytest.raises(InputError, match="Constant 'c' holds NaN or infinity"):
        read(write(b.build()))


def test_truncation_anywhere() -> None:
    data = write(convnet())
    for length in range(0, len(data) - 1, 61):
        with pytest.raises(InputError):
            read(data[:length])


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 8, b"PK\3\4" * 100, b"\xff" * 64])
def test_other_files(data: bytes) -> None:
    with pytest.raises(InputError):
        read(data)


def test_an_open_batch_is_read_as_one() -> None:
    damaged = Damaged()
    damaged.tensor("image").shapeSignature = [-1, 16, 16, 3]
    assert read(pack(damaged.model)).tensors["image"].shape == (1, 16, 16, 3)


def test_an_absent_bias_is_left_out() -> None:
    damaged = Damaged()
    damaged.operators[0].inputs = np.array([*damaged.operators[0].inputs[:2], -1], np.int32)
    assert read(pack(damaged.model)).nodes[0].inputs == ("image", "stem/weights")


def test_names_are_made_unique_and_printable() -> None:
    damaged = Damaged()
    damaged.tensor("stem").name = b"image"
    damaged.tensor("pad").name = None
    damaged.tensor("down").name = b"a\x1b[31m\nb\xff"
    names = [node.name for node in read(pack(damaged.model)).nodes]
    number = damaged.index
    assert names[0] == f"image#{number['stem']}"
    assert names[4:6] == [f"tensor_{number['pad']}", "a\ufffd[31m\ufffdb\ufffd"]


def test_custom_and_unknown_operators() -> None:
    damaged = Damaged()
    damaged.model.operatorCodes[0] = schema.OperatorCodeT(32, "my-op", 1, 32)
    data = pack(damaged.model)
    with pytest.raises(UnsupportedError, match="Operator 0, my-op, which writes 'stem'"):
        read(data)
    graph = read(data, allow_opaque=True)
    assert graph.nodes[0].op == ops.Opaque("my-op", 32)
    damaged.model.operatorCodes[0] = schema.OperatorCodeT(127, None, 1, 9999)
    with pytest.raises(UnsupportedError, match="BUILTIN_9999"):
        read(pack(damaged.model))


def shared_parts(tensors: int, name_bytes: int) -> bytes:
    """A model whose tensors are all one table, and whose operators each mention all of them."""
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("x" * name_bytes)
    schema.TensorStart(builder)
    schema.TensorAddName(builder, name)
    tensor = schema.TensorEnd(builder)
    indices = builder.CreateNumpyVector(np.arange(tensors, dtype=np.int32))
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, indices)
    schema.OperatorAddOutputs(builder, indices)
    operator = schema.OperatorEnd(builder)
    vectors = []
    for entry in (tensor, operator):
        builder.StartVector(4, tensors, 4)
        for _ in range(tensors):
            builder.PrependUOffsetTRelative(entry)
        vectors.append(builder.EndVector())
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vectors[0])
    schema.SubGraphAddInputs(builder, indices)
    schema.SubGraphAddOperators(builder, vectors[1])
    subgraph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(subgraph)
    subgraphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("tensors", "name_bytes"), [(50_000, 1), (500, 60_000)])
def test_parts_that_share_each_other_cost_little(tensors: int, name_bytes: int) -> None:
    data = shared_parts(tensors, name_bytes)
    start = time.process_time()
    with pytest.raises(EdgekitError):
        read(data)
    assert time.process_time() - start < 10  # seconds; minutes if each mention cost something


def test_a_name_longer_than_any_name() -> None:
    damaged = Damaged()
    damaged.tensor("stem").name = b"n" * 70_000
    with pytest.raises(InputError, match="a name has 70000 bytes"):
        read(pack(damaged.model))
