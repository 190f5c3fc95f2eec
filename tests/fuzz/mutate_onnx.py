"""Changes to the meaning of an ONNX model that leave it a protobuf, so that they get deep.

A model's bytes enter and leave. Any field of any message may change; more often what a converter
reads does: an op's type, its inputs, attributes, constants' shapes and values, whole nodes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgekit.convert.onnx_graph import CONVERTERS

INTEGERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 63, 2**20, 2**31, 2**40, 2**63 - 1)
FLOATS = (0.0, -1.0, 1.0, 6.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), float("-inf"))
_TEXTS = (
    "",
    "x",
    "SAME_UPPER",
    "VALID",
    "NOTSET",
    "reflect",
    "../../../etc/passwd",
    "\x1b[2J",
    "e\u0301",
)
_ATTRIBUTES = (
    *("pads", "strides", "dilations", "perm", "axes", "kernel_shape", "axis", "group", "split"),
    *("keepdims", "alpha", "beta", "epsilon", "ceil_mode", "auto_pad", "mode", "transA", "transB"),
    *("count_include_pad", "allowzero", "start", "end", "to", "num_outputs", "shape", "value"),
)
# Foldable ops, and those that run other graphs or make tensors from nothing.
_OTHER_OPS = (
    *("Shape", "Gather", "ConstantOfShape", "Expand", "Tile", "Range", "If", "Loop", "Scan"),
    *("Resize", "Constant", "Where", "Equal", "Pow", "Sqrt", "Exp", "Elu", "CumSum", "TopK"),
    *("NonZero", "Einsum", "ConvTranspose", "DepthToSpace", "RandomNormal", "OneHot", "Unique"),
)
_FEW = (0, 1, 1, 2, 2, 3, 3, 4, 5, 8)
_MOST_ELEMENTS = 1 << 16


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four changes."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    for _ in range(rng.randint(1, 4)):
        if not model.graph.node:
            break
        rng.choice(_CHANGES)(model.graph, rng)
    return bytes(model.SerializeToString())


def _any_field(graph: Any, rng: random.Random) -> None:
    message = rng.choice(list(_messages(graph)))
    field = rng.choice(message.DESCRIPTOR.fields)
    if field.message_type is not None:
        _change_messages(message, field, rng)
        return
    value = _scalar(field, rng)
    try:
        if not _is_repeated(field):
            setattr(message, field.name, value)
        elif getattr(message, field.name) and rng.random() < 0.7:
            values = getattr(message, field.name)
            values[rng.randrange(len(values))] = value
        else:
            getattr(message, field.name).append(value)
    except (ValueError, TypeError):
        message.ClearField(field.name)  # a number or text this field cannot hold


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated)


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if _is_repeated(field) else [value]:
                yield from _messages(part)


def _change_messages(message: Any, field: Any, rng: random.Random) -> None:
    if not _is_repeated(field):
        message.ClearField(field.name)
        return
    values = getattr(message, field.name)
    if not values:
        return
    at = rng.randrange(len(values))
    if rng.random() < 0.5:
        del values[at]
    else:
        values.add().CopyFrom(values[at])


def _scalar(field: Any, rng: random.Random) -> Any:
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        text = rng.choice(_TEXTS)
        return text.encode() if field.type == field.TYPE_BYTES else text
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice(FLOATS)
    if kind == field.CPPTYPE_ENUM:
        return rng.choice([value.number for value in field.enum_type.values])
    return rng.choice((*INTEGERS, rng.randrange(30)))


def _names(graph: Any) -> list[str]:
    names = [value.name for value in graph.input] + [tensor.name for tensor in graph.initializer]
    return [*names, *(name for node in graph.node for name in node.output), "", "absent"]


def _op_type(graph: Any, rng: random.Random) -> None:
    kinds = sorted(CONVERTERS) if rng.random() < 0.7 else _OTHER_OPS
    rng.choice(graph.node).op_type = rng.choice(kinds)


def _inputs(graph: Any, rng: random.Random) -> None:
    node = rng.choice(graph.node)
    names, kind = list(node.input), rng.randrange(4)
    if kind == 0 and names:
        names[rng.randrange(len(names))] = rng.choice(_names(graph))
    elif kind == 1:
        names.append(rng.choice(_names(graph)))
    elif kind == 2 and names:
        del names[rng.randrange(len(names))]
    else:
        rng.shuffle(names)
    del node.input[:]
    node.input.extend(names)


def _attribute(graph: Any, rng: random.Random) -> None:
    node = rng.choice(graph.node)
    numbers = _FEW if rng.random() < 0.7 else INTEGERS
    if node.attribute and rng.random() < 0.6:
        attribute = rng.choice(node.attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(numbers)
        elif attribute.type == onnx.AttributeProto.INT:
            attribute.i = rng.choice(numbers)
        elif attribute.type == onnx.AttributeProto.FLOAT:
            attribute.f = rng.choice(FLOATS)
        return
    values: Any = [rng.choice(numbers) for _ in range(rng.randint(0, 5))]
    value = rng.choice([values, rng.choice(numbers), rng.choice(FLOATS), rng.choice(_TEXTS)])
    if value == []:
        return
    node.attribute.append(helper.make_attribute(rng.choice(_ATTRIBUTES), value))


def _constant(graph: Any, rng: random.Random) -> None:
    """A constant gets another shape, type or value, with as much data as it then needs."""
    if not graph.initializer:
        return
    tensor = rng.choice(graph.initializer)
    try:
        values = np.asarray(numpy_helper.to_array(tensor))
    except Exception:  # damaged by an earlier change
        return
    kind = rng.randrange(4)
    shape = list(values.shape)
    if kind == 0 and shape:
        shape[rng.randrange(len(shape))] = rng.choice(_FEW)
    elif kind == 1:
        shape.insert(rng.randrange(len(shape) + 1), rng.choice((1, 1, 2)))
    elif kind == 2:
        values = values.astype(rng.choice(("float32", "int64", "int32", "float16", "bool")))
    elif values.size and values.dtype.kind in "if":
        values = values.copy()
        choices = FLOATS if values.dtype.kind == "f" else INTEGERS
        with np.errstate(all="ignore"):
            values.flat[rng.randrange(values.size)] = np.array(rng.choice(choices)).astype(
                values.dtype
            )
    if np.prod(shape, dtype=np.float64) <= _MOST_ELEMENTS:
        tensor.CopyFrom(numpy_helper.from_array(np.resize(values, shape), tensor.name))


def _declared_size(graph: Any, rng: random.Random) -> None:
    value = rng.choice([*graph.input, *graph.output])
    dims = value.type.tensor_type.shape.dim
    if dims:
        dim = rng.choice(dims)
        dim.dim_value = rng.choice((*_FEW, 16, 2**13, 2**20, 2**26, 2**40, -1))


def _nodes(graph: Any, rng: random.Random) -> None:
    """A node is repeated under a new name, left out, or put elsewhere."""
    nodes, kind = list(graph.node), rng.randrange(3)
    at = rng.randrange(len(nodes))
    if kind == 0:
        copy = onnx.NodeProto()
        copy.CopyFrom(nodes[at])
        for i, name in enumerate(copy.output):
            copy.output[i] = f"{name}_again"
        if copy.input and rng.random() < 0.7:
            copy.input[0] = nodes[at].output[0] if nodes[at].output else ""
        nodes.insert(at + 1, copy)
        if graph.output and copy.output and at + 2 == len(nodes):
            graph.output[0].name = copy.output[0]
    elif kind == 1:
        del nodes[at]
    else:
        rng.shuffle(nodes)
    del graph.node[:]
    graph.node.extend(nodes)


def _external(graph: Any, rng: random.Random) -> None:
    """Weights that claim to lie in some other file."""
    if graph.initializer and rng.random() < 0.3:
        tensor = rng.choice(graph.initializer)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", rng.choice(_TEXTS)), ("length", str(rng.choice(INTEGERS)))):
            tensor.external_data.add(key=key, value=value)


_CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    _any_field,
    _any_field,
    _op_type,
    _op_type,
    _inputs,
    _inputs,
    _attribute,
    _attribute,
    _constant,
    _constant,
    _declared_size,
    _nodes,
    _external,
)
