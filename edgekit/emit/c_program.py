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
from edgekit.lower.program import Call, Constant, Program, Stripes, Value
from edgekit.plan.static_memory import StaticMemory
from edgekit.resources import templates_dir

_RUNTIME = "runtime"
# Each template, and how its file's name ends: model.c, model_weights.c.
_FILES = {"model.h": ".h", "model.c": ".c", "weights.h": "_weights.h", "weights.c": "_weights.c"}
_C_TYPES = {DType.FLOAT32: "float", DType.BOOL: "bool"}


@dataclass(frozen=True)
class Block:
    """A part of `ek_model_invoke`.

    Attributes:
        comments: one a layer that begins here.
        turns: of the loop around the calls; 1 is no loop.
        calls: in C; none for a view.
    """

    comments: tuple[str, ...]
    turns: int
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
        "blocks": list(_blocks(program, memory, prefix)),
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
    names = _constant_names(program, prefix)
    operands = {id(operand) for kernel in program.kernels for operand in kernel.operands}
    for constant in program.constants:
        yield Declaration(
            name=names[id(constant)],
            c_type=c_type(DType(constant.data.dtype.name)),
            elements=constant.data.size,
            alignment=constant.alignment,
            comment=constant.layout,
            text=c_array.numbers(constant.data),
            is_operand=id(constant) in operands,
        )


def _names(program: Program, prefix: str) -> dict[int, str]:
    """The C name of each kernel's parameters: the step's index, and if it has several, a count."""
    kernels: dict[int, dict[int, None]] = {}
    for call in program.calls():
        kernels.setdefault(call.step, {})[id(call.kernel)] = None
    return {
        kernel: f"{prefix}_{step}" + (f"_{part}" if len(found) > 1 else "")
        for step, found in kernels.items()
        for part, kernel in enumerate(found)
    }


def _constant_names(program: Program, prefix: str) -> dict[int, str]:
    """The C name of each array: that of the first kernel that reads it, and its role."""
    names = _names(program, prefix)
    found: dict[int, str] = {}
    for kernel in program.kernels:
        for constant in kernel.constants:
            found.setdefault(id(constant), f"{names[id(kernel)]}_{constant.role}")
    return found


@dataclass(frozen=True)
class Initializer:
    """A kernel's parameters, as the templates write them."""

    name: str
    struct: str
    fields: tuple[tuple[str, str], ...]


def _parameters(program: Program, prefix: str) -> Iterator[Initializer]:
    names, arrays = _names(program, prefix), _constant_names(program, prefix)
    for kernel in program.kernels:
        fields = ((field, _value(value, arrays)) for field, value in kernel.parameters.items())
        yield Initializer(names[id(kernel)], kernel.struct, tuple(fields))


def _value(value: Value, arrays: dict[int, str]) -> str:
    match value:
        case None:
            return "NULL"
        case Constant():
            return arrays[id(value)]
        case tuple():
            return "{" + ", ".join(map(c_array.literal, value)) + "}"
        case _:
            return c_array.literal(value)


def _blocks(program: Program, memory: StaticMemory, prefix: str) -> Iterator[Block]:
    names = {**_names(program, prefix), **_constant_names(program, prefix)}
    begins = {stripes.first: stripes for stripes in program.stripes}
    index = 0
    for loops in program.parts():
        last = begins[index].last if index in begins else index
        comments = tuple(_comment(program, i) for i in range(index, last + 1))
        if index in begins:
            comments = (_title(program, begins[index]), *comments)
        for loop in loops:
            calls = tuple(
                _call(program, memory, call, strides, names)
                for call, strides in zip(loop.calls, loop.strides, strict=True)
            )
            yield Block(comments, loop.turns, calls)
            comments = ()
        index = last + 1


def _title(program: Program, stripes: Stripes) -> str:
    output = program.graph.tensors[program.steps[stripes.last].node.outputs[0]]
    rows = f"{stripes.rows} row{'s' if stripes.rows > 1 else ''}"
    return (
        f"Layers {stripes.first} to {stripes.last} in stripes of {rows} of {_shape(output)}; "
        "of what is between them only lines are kept:"
    )


def _comment(program: Program, index: int) -> str:
    tensors, step = program.graph.tensors, program.steps[index]
    read = ", ".join(_shape(tensors[name]) for name in program.activations(step.node))
    made = ", ".join(_shape(tensors[name]) for name in step.node.outputs)
    view = "" if step.kernels else ": the same bytes"
    return f"{index}: {step.node.op.tflite_name} {read} -> {made}{view}"


def _call(
    program: Program,
    memory: StaticMemory,
    call: Call,
    strides: tuple[int, ...],
    names: dict[int, str],
) -> str:
    kernel, tensors = call.kernel, program.graph.tensors
    arguments = [f"&{names[id(kernel)]}"]
    ends: tuple[str | Constant, ...] = (*kernel.operands, *kernel.outputs)
    for position, (end, offset, stride) in enumerate(
        zip(ends, call.offsets, strides, strict=False)
    ):
        if isinstance(end, Constant):
            arguments.append(names[id(end)])
        else:
            qualifier = "const " if position < len(kernel.operands) else ""
            where = f"arena + {memory.offsets[end] + offset}"
            where += f" + {stride} * stripe" if stride else ""
            arguments.append(f"({qualifier}{c_type(tensors[end].dtype)} *)({where})")
    if kernel.scratch_bytes is not None:
        scratch = memory.scratch
        arguments.append(f"arena + {scratch[call.step]}" if call.step in scratch else "NULL")
    return f"{kernel.name}({', '.join(arguments)})"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"
