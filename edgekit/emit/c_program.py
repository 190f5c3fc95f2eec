"""A program and its memory as C11 source: model.h, model.c, weights.h, weights.c and the runtime.

Values enter, source text by file name leaves. What is written reads as if by hand: one call a
layer with its shapes beside it, one designated initializer a kernel's parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.emit import c_array
from edgekit.emit.render import render
from edgekit.emit.text import plain
from edgekit.graph.ir import DType, Tensor
from edgekit.lower.program import Constant, Program, Step, Value
from edgekit.plan.static_memory import StaticMemory
from edgekit.resources import templates_dir

_RUNTIME = "runtime"
_ALWAYS = ("ek_fixed.h",)
# Each template, and how its file's name ends: model.c, model_weights.c.
_FILES = {"model.h": ".h", "model.c": ".c", "weights.h": "_weights.h", "weights.c": "_weights.c"}
_C_TYPES = {DType.FLOAT32: "float", DType.BOOL: "bool"}


@dataclass(frozen=True)
class Call:
    """A line of `ek_model_invoke`: what it computes, and the C call; no call for a view."""

    comment: str
    call: str


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
        "headers": program.headers,
        "calls": [_call(program, memory, index, prefix) for index in range(len(program.steps))],
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
    names = {*_ALWAYS}
    for header in program.headers:
        names |= {header, header.replace(".h", ".c")}
    return {name: (folder / name).read_bytes() for name in sorted(names)}


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


def _declarations(program: Program, prefix: str) -> Iterator[Declaration]:
    for index, step in enumerate(program.steps):
        for constant in _constants(step):
            yield Declaration(
                name=_name(prefix, index, constant),
                c_type=c_type(DType(constant.data.dtype.name)),
                elements=constant.data.size,
                alignment=constant.alignment,
                comment=constant.layout,
                text=c_array.numbers(constant.data),
            )


def _constants(step: Step) -> Iterator[Constant]:
    values = list(step.kernel.parameters.values()) if step.kernel else []
    for value in (*step.operands, *values):
        if isinstance(value, Constant):
            yield value


def _name(prefix: str, index: int, constant: Constant) -> str:
    return f"{prefix}_{index}_{constant.role}"


@dataclass(frozen=True)
class Initializer:
    """A kernel's parameters, as the templates write them."""

    name: str
    struct: str
    fields: tuple[tuple[str, str], ...]


def _parameters(program: Program, prefix: str) -> Iterator[Initializer]:
    for index, step in enumerate(program.steps):
        if step.kernel:
            fields = tuple(
                (field, _value(value, prefix, index))
                for field, value in step.kernel.parameters.items()
            )
            yield Initializer(f"{prefix}_{index}", step.kernel.struct, fields)


def _value(value: Value, prefix: str, index: int) -> str:
    match value:
        case None:
            return "NULL"
        case Constant():
            return _name(prefix, index, value)
        case tuple():
            return "{" + ", ".join(map(c_array.literal, value)) + "}"
        case _:
            return c_array.literal(value)


def _call(program: Program, memory: StaticMemory, index: int, prefix: str) -> Call:
    step = program.steps[index]
    tensors = program.graph.tensors
    read = ", ".join(_shape(tensors[name]) for name in step.activations)
    made = ", ".join(_shape(tensors[name]) for name in step.outputs)
    comment = f"{index}: {step.node.op.tflite_name} {read} -> {made}"
    if step.kernel is None:
        return Call(f"{comment}: the same bytes", "")
    arguments = [f"&{prefix}_{index}"]
    for operand in step.operands:
        if isinstance(operand, Constant):
            arguments.append(_name(prefix, index, operand))
        else:
            arguments.append(_place(tensors[operand], memory.offsets[operand], "const "))
    arguments += [_place(tensors[name], memory.offsets[name]) for name in step.outputs]
    if step.kernel.scratch_bytes is not None:
        arguments.append(f"arena + {memory.scratch[index]}" if index in memory.scratch else "NULL")
    return Call(comment, f"{step.kernel.function}({', '.join(arguments)})")


def _place(tensor: Tensor, offset: int, qualifier: str = "") -> str:
    return f"({qualifier}{c_type(tensor.dtype)} *)(arena + {offset})"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"
