"""How TFLite Micro was compiled, and the sizes of its own structures that follow from it.

A build (pointer size, enum size, kernel library) and a structure enter; bytes leave. A structure is
written as a string of field types, see `size_of`, so that one description serves 32-bit chips and
the 64-bit host. Read off tflite-micro's headers: micro/c/common.h, micro/micro_allocator.h,
micro/memory_planner/greedy_memory_planner.h and micro/arena_allocator/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KernelLibrary = Literal["reference", "cmsis-nn"]
Simd = Literal["none", "dsp", "mve"]


@dataclass(frozen=True)
class TflmBuild:
    """How TFLite Micro was compiled, as far as its memory depends on it.

    Attributes:
        pointer_bytes: 4 on microcontrollers, 8 on the host.
        kernels: which kernel library was linked.
        simd: the Arm extension CMSIS-NN was compiled for.
        short_enums: whether an enum takes one byte, as in Arm's bare-metal ABI (arm-none-eabi-gcc),
            instead of an int's four.
        compression: whether TFLM was built with USE_TFLM_COMPRESSION.
        recording: whether the allocator keeps statistics, as the Python package's does.
    """

    pointer_bytes: Literal[4, 8] = 4
    kernels: KernelLibrary = "reference"
    simd: Simd = "none"
    short_enums: bool = False
    compression: bool = False
    recording: bool = False


HOST = TflmBuild(pointer_bytes=8, compression=True, recording=True)

# The allocator's own structures.
SINGLE_ARENA_ALLOCATOR = "pp ppppp pp b"
GREEDY_PLANNER = "p ii pppp ii p b"
MICRO_ALLOCATOR = "p pppp b ppp"
BUILTIN_DATA_ALLOCATOR = "pp"
SUBGRAPH_ALLOCATIONS = "ppX"
RECORDED_ALLOCATION = "ppp"
# One of each a tensor, a node, a scratch buffer.
EVAL_TENSOR = "ppe"
NODE_AND_REGISTRATION = "ppppppip"
SCRATCH_HANDLE = "p"
SCRATCH_REQUEST = "pii"
TENSOR = "ip fi ppp ee b"
AFFINE_QUANTIZATION = "ppi"
# While the arena is planned.
ALLOCATION_INFO = "pp iii b"
PLANNED_BUFFER = "iiii ii iii i"

_FIELD_BYTES = {"i": 4, "f": 4, "x": 4, "b": 1, "h": 2, "d": 8}


def size_of(fields: str, build: TflmBuild) -> int:
    """Bytes of a C structure, each field on its own alignment, the whole on its largest.

    Args:
        fields: one letter a field: i int32 or int; e enum; f float; d double; h int16; b bool or
            int8; p anything as wide as a pointer; x an int and X a pointer that only builds with
            compression have; spaces group them as the header does.
        build: says how wide pointers and enums are.
    """
    offset = 0
    for width in _widths(fields, build):
        offset = align(offset, width) + width
    return align(offset, alignment_of(fields, build))


def alignment_of(fields: str, build: TflmBuild) -> int:
    """The alignment of a C structure: that of its widest field."""
    return max(_widths(fields, build), default=1)


def _widths(fields: str, build: TflmBuild) -> list[int]:
    absent = " " if build.compression else " xX"
    known = {**_FIELD_BYTES, "e": 1 if build.short_enums else 4}
    return [known.get(field, build.pointer_bytes) for field in fields if field not in absent]


def align(value: int, alignment: int) -> int:
    """The value rounded up to a multiple."""
    return -(-value // alignment) * alignment
