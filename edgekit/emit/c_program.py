"""A program and its memory as C11 source: model.h, model.c, weights.h, weights.c and the runtime.

Values enter, source text by file name leaves. What is written reads as if by hand: one call a
layer with its shapes beside it, one designated initializer a kernel's parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.emit import c_array
from edgekit.emit.render import render
from edgekit.emit.text import plain
from edgekit.graph.ir import DType, Tensor
from edgekit.lower.program import Constant, Kernel, Program, Step, Value
from edgekit.plan.static_memory import StaticMemory
from edgekit.resources import templates_dir

_RUNTIME = "runtime"
# Each template, and how its file's name ends: model.c, model_weights.c.
_FILES = {"model.h": ".h", "model.c": ".c", "weights.h": "_weights.h", "weights.c": "_weights.c"}
_C_TYPES = {DType.FLOAT32: "float", DType.BOOL: "bool"}


@dataclass(frozen=True)
class Layer:
    """A layer in `ek_model_invoke`: what it computes, and its C calls; none for a view."""

    comment: str
    calls: tuple[str, ...]


def c_program(program: Program, memory: StaticMemory, prefix: str = "ek_model") -> dict[str, bytes]:
    """The sources, by file name; the same program gives the same bytes.

    Args:
        prefix: of every name with external linkage and of the model's files, so that two programs
            can be linked together.
    """
    stem = prefix.removeprefix("ek_")
    names = {part: f"{stem}{suffix}" for part, suffix in _FILES.items()}
    values = {
        "prefix": prefix,
        "names": names,
        "program": program,
        "memory": memory,
        "headers": [f"{name}.h" for name in program.kernel_names],
        "layers": _layers(program, memory, prefix),
        "constants": list(_declarations(program, prefix)),
        "parameters": list(_parameters(program, prefix)),
        "inputs": [_end(program, memory, name) for name in program.graph.inputs],
        "outputs": [_end(program, memory, name) for name in program.graph.outputs],
    }
    sources = {names[part]: render(f"c/{part}", values) for part in _FILES}
    return sources | runtime_files(program)


def runtime_files(program: Program) -> dict[str, bytes]:
    """The kernels that a program calls, and what they include; no others."""
    folder = templates_dir() / _RUNTIME
    found: dict[str, bytes] = {}
    wanted = [f"{name}.c" for name in program.kernel_names]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = (folder / name).read_bytes()
            wanted += re.findall(r'^#include "(.+)"$', found[name].decode(), re.MULTILINE)
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class End:
    """An input or output of the network, as the templates write it."""

    name: str
    c_type: str
    shape: tuple[int, ...]
    elements: int
    offset: int
    tensor: Tensor


def _end(program: Program, memory: StaticMemory, name: str) -> End:
    tensor = program.graph.tensors[name]
    return End(
        plain(name),
        c_type(tensor.dtype),
        tensor.shape,
        tensor.elements,
        memory.offsets[name],
        tensor,
    )


def c_type(dtype: DType) -> str:
    """The C element type."""
    return _C_TYPES.get(dtype) or f"{dtype.value}_t"


@dataclass(frozen=True)
class Declaration:
    """A constant array, as the templates write it."""

    name: str
    c_type: str
    elements: int
    alignment: int
    comment: str
    text: str
    is_operand: bool


def _declarations(program: Program, prefix: str) -> Iterator[Declaration]:
    for name, kernel in _named(program, prefix):
        for constant in kernel.constants:
            yield Declaration(
                name=f"{name}_{constant.role}",
                c_type=c_type(DType(constant.data.dtype.name)),
                elements=constant.data.size,
                alignment=constant.alignment,
                comment=constant.layout,
                text=c_array.numbers(constant.data),
                is_operand=constant in kernel.operands,
            )


def _named(program: Program, prefix: str) -> Iterator[tuple[str, Kernel]]:
    """Each call with the C name of its parameters."""
    for index, step in enumerate(program.steps):
        for part, kernel in enumerate(step.kernels):
            yield f"{prefix}_{index}" + (f"_{part}" if len(step.kernels) > 1 else ""), kernel


@dataclass(frozen=True)
class Initializer:
    """A kernel's parameters, as the templates write them."""

    name: str
    struct: str
    fields: tuple[tuple[str, str], ...]


def _parameters(program: Program, prefix: str) -> Iterator[Initializer]:
    for name, kernel in _named(program, prefix):
        fields = ((field, _value(value, name)) for field, value in kernel.parameters.items())
        yield Initializer(name, kernel.struct, tuple(fields))


def _value(value: Value, name: str) -> str:
    match value:
        case None:
            return "NULL"
        case Constant():
            return f"{name}_{value.role}"
        case tuple():
            return "{" + ", ".join(map(c_array.literal, value)) + "}"
        case _:
            return c_array.literal(value)


def _layers(program: Program, memory: StaticMemory, prefix: str) -> list[Layer]:
    names = {id(kernel): name for name, kernel in _named(program, prefix)}
    return [
        Layer(
            _comment(program, index, step),
            tuple(
                _call(program, memory, index, kernel, names[id(kernel)]) for kernel in step.kernels
            ),
        )
        for index, step in enumerate(program.steps)
    ]


def _comment(program: Program, index: int, step: Step) -> str:
    tensors = program.graph.tensors
    read = ", ".join(_shape(tensors[name]) for name in program.activations(step.node))
    made = ", ".join(_shape(tensors[name]) for name in step.node.outputs)
    view = "" if step.kernels else ": the same bytes"
    return f"{index}: {step.node.op.tflite_name} {read} -> {made}{view}"


def _call(program: Program, memory: StaticMemory, index: int, kernel: Kernel, name: str) -> str:
    tensors = program.graph.tensors
    arguments = [f"&{name}"]
    for operand in kernel.operands:
        if isinstance(operand, Constant):
            arguments.append(f"{name}_{operand.role}")
        else:
            arguments.append(_place(tensors[operand], memory.offsets[operand], "const "))
    arguments += [_place(tensors[output], memory.offsets[output]) for output in kernel.outputs]
    if kernel.scratch_bytes is not None:
        arguments.append(f"arena + {memory.scratch[index]}" if index in memory.scratch else "NULL")
    return f"{kernel.name}({', '.join(arguments)})"


def _place(tensor: Tensor, offset: int, qualifier: str = "") -> str:
    return f"({qualifier}{c_type(tensor.dtype)} *)(arena + {offset})"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"
