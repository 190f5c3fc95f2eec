"""Changes to the meaning of a TFLite model that leave it a flatbuffer, so that they get deep.

A model's bytes enter and leave. It is taken apart with the schema's object API; a few fields
anywhere in it change (numbers, vectors, enums, tables), or several together so that they agree: a
tensor's shape or type with its buffer, an operator's code with its options.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INTEGERS = (-(2**31), -2, -1, 0, 1, 2, 3, 5, 7, 8, 16, 127, 128, 255, 2**15, 2**20, 2**31 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), 1 / 256, 0.5, 255.0)
_ITEM_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1}
_MOST_BUFFER_BYTES = 1 << 20
_TRIES = 8


def mutate(data: bytes, rng: random.Random, donor: bytes) -> bytes:
    """One to three changes; `donor` is another model that gives away operators."""
    for _ in range(_TRIES):
        model = schema.ModelT.InitFromPackedBuf(data)
        try:
            for _ in range(rng.randint(1, 3)):
                if rng.random() < 0.2:
                    _take_operator(model, rng, schema.ModelT.InitFromPackedBuf(donor))
                else:
                    rng.choice(_CHANGES)(model, rng)
            return pack(model)
        except (TypeError, ValueError, AttributeError, struct.error, OverflowError, IndexError):
            continue  # nothing left to change, or a value the format cannot say: try another
    return data


def pack(model: Any) -> bytes:
    """The object API's model as a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _any_field(model: Any, rng: random.Random) -> None:
    table = rng.choice(list(_tables(model)))
    name = rng.choice(list(vars(table)) or [""])
    if name:
        setattr(table, name, _changed(getattr(table, name), rng))


def _tables(table: Any) -> Iterator[Any]:
    yield table
    for value in vars(table).values():
        for part in value if isinstance(value, list) else [value]:
            if hasattr(part, "Pack"):
                yield from _tables(part)


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, np.integer)):
        return rng.choice([rng.choice(INTEGERS), int(value) + rng.choice((-1, 1)), int(value) * 2])
    if isinstance(value, float):
        return rng.choice(FLOATS)
    if isinstance(value, (bytes, str)):
        return rng.choice([b"", b"x", b"\xff\xfe", b"\x1b[2J", value * 3])
    if isinstance(value, np.ndarray):
        return _changed_vector(value, rng)
    if isinstance(value, list):
        return _changed_list(value, rng)
    return None


def _changed_vector(value: Any, rng: random.Random) -> Any:
    kind = rng.randrange(5)
    if kind == 0 or value.size == 0:
        return np.append(value, value[:1] if value.size else [1]).astype(value.dtype)
    if kind == 1:
        return value[:-1]
    out = value.copy()
    if kind == 2:
        rng.shuffle(out)
        return out
    choices = FLOATS if out.dtype.kind == "f" else INTEGERS
    with np.errstate(all="ignore"):
        out[rng.randrange(out.size)] = np.array(rng.choice(choices)).astype(out.dtype)
    return out


def _changed_list(value: list[Any], rng: random.Random) -> list[Any]:
    out = list(value)
    if not out:
        return out
    at, other = rng.randrange(len(out)), rng.randrange(len(out))
    kind = rng.randrange(3)
    if kind == 0:
        out.insert(at, out[other])
    elif kind == 1:
        del out[at]
    else:
        out[at], out[other] = out[other], out[at]
    return out


def _graph(model: Any) -> Any:
    return model.subgraphs[0]


def _tensor(model: Any, rng: random.Random) -> Any:
    return rng.choice(_graph(model).tensors)


def _shape_with_its_buffer(model: Any, rng: random.Random) -> None:
    """A tensor gets another shape and, if it is constant, as much data."""
    tensor = _tensor(model, rng)
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    kind = rng.randrange(4)
    if kind == 0 and shape:
        shape[rng.randrange(len(shape))] = rng.choice((0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 64))
    elif kind == 1:
        shape.insert(rng.randrange(len(shape) + 1), rng.choice((1, 1, 2)))
    elif kind == 2 and shape:
        del shape[rng.randrange(len(shape))]
    else:
        rng.shuffle(shape)
    tensor.shape = np.array(shape, np.int32)
    _fit_buffer(model, tensor, rng)


def _type_with_its_buffer(model: Any, rng: random.Random) -> None:
    tensor = _tensor(model, rng)
    tensor.type = rng.choice(list(_ITEM_BYTES))
    _fit_buffer(model, tensor, rng)


def _fit_buffer(model: Any, tensor: Any, rng: random.Random) -> None:
    data = model.buffers[tensor.buffer].data
    if data is None or len(data) == 0:
        return
    size = int(np.prod([int(size) for size in tensor.shape])) * _ITEM_BYTES.get(tensor.type, 1)
    if 0 <= size <= _MOST_BUFFER_BYTES:
        model.buffers.append(schema.BufferT(data=np.resize(np.asarray(data, np.uint8), size)))
        tensor.buffer = len(model.buffers) - 1


def _constant_values(model: Any, rng: random.Random) -> None:
    """Axes, paddings, shapes and weights with other values."""
    filled = [b for b in model.buffers if b.data is not None and len(b.data) >= 4]
    if not filled:
        return
    buffer = rng.choice(filled)
    words = np.asarray(buffer.data, np.uint8).copy()
    at = 4 * rng.randrange(len(words) // 4)
    word = rng.choice(INTEGERS) if rng.random() < 0.7 else rng.getrandbits(31)
    words[at : at + 4] = np.frombuffer(struct.pack("<i", word), np.uint8)
    buffer.data = words


def _quantization(model: Any, rng: random.Random) -> None:
    tensor = _tensor(model, rng)
    count = rng.choice((0, 1, 1, 1, 2, 3, 4, 5, 8))
    scale = rng.choice(FLOATS) if rng.random() < 0.5 else rng.uniform(1e-4, 2)
    tensor.quantization = schema.QuantizationParametersT(
        scale=np.full(count, scale, np.float32),
        zeroPoint=np.full(count, rng.choice((*INTEGERS, -128, 5)), np.int64),
        quantizedDimension=rng.choice((0, 0, 1, 3, -1, 99)),
    )


def _rewire(model: Any, rng: random.Random) -> None:
    """An operator reads or writes other tensors of the model."""
    operator = rng.choice(_graph(model).operators)
    field = rng.choice(("inputs", "inputs", "outputs"))
    indices = [int(i) for i in getattr(operator, field)]
    choices = range(-1, len(_graph(model).tensors) + 1)
    kind = rng.randrange(4)
    if kind == 0 and indices:
        indices[rng.randrange(len(indices))] = rng.choice(choices)
    elif kind == 1:
        indices.append(rng.choice(choices))
    elif kind == 2 and indices:
        indices.pop()
    else:
        rng.shuffle(indices)
    setattr(operator, field, np.array(indices, np.int32))


def _border(model: Any, rng: random.Random) -> None:
    graph = _graph(model)
    field = rng.choice(("inputs", "outputs"))
    indices = [int(i) for i in getattr(graph, field)]
    indices.insert(0, rng.randrange(len(graph.tensors)))
    setattr(graph, field, np.array(indices[: rng.randint(1, 3)], np.int32))


def _option(model: Any, rng: random.Random) -> None:
    options = rng.choice(_graph(model).operators).builtinOptions
    if options is not None and vars(options):
        name = rng.choice(list(vars(options)))
        value = getattr(options, name)
        small = isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.7
        setattr(options, name, rng.choice((0, 1, 2, 3, 4)) if small else _changed(value, rng))


def _take_operator(model: Any, rng: random.Random, other: Any) -> None:
    """An operator becomes another kind, with that one's options."""
    mine, theirs = rng.choice(_graph(model).operators), rng.choice(_graph(other).operators)
    model.operatorCodes.append(other.operatorCodes[theirs.opcodeIndex])
    mine.opcodeIndex = len(model.operatorCodes) - 1
    mine.builtinOptionsType, mine.builtinOptions = theirs.builtinOptionsType, theirs.builtinOptions


_CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    _any_field,
    _any_field,
    _shape_with_its_buffer,
    _shape_with_its_buffer,
    _type_with_its_buffer,
    _constant_values,
    _constant_values,
    _quantization,
    _rewire,
    _border,
    _option,
    _option,
)
