"""Inferences of a generated C program on an emulated chip.

A firmware and a chip with it enter; outputs, instructions by layer, and the
memory that was really used leave. Inputs are put into the arena and outputs read from it, at the
plan's offsets, so that any number of samples run through one firmware. The kernels lie in sources
of their own: each return from one into the invoke function is the end of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.emulate.chip.chip import Chip, ChipFaultError
from edgekit.emulate.chip.firmware import Firmware
from edgekit.emulate.chip.image import Image
from edgekit.emulate.samples import Sample, Values
from edgekit.errors import VerificationError
from edgekit.lower.program import Stripes
from edgekit.plan.boards import Board

_PAINTS = (0xA5, 0x5A)  # by turns: a value may happen to equal one of them
_STACK_BYTES = 64 << 10  # painted below the stack pointer, at most
_GUARD_BYTES = 4 << 10  # behind the firmware's variables, where nothing may be written


@dataclass(frozen=True, eq=False)
class Inference:
    """What one inference showed.

    Attributes:
        outputs: one array a graph output.
        layers: instructions by step of the program; a view's are 0, the way into the function
            belongs to the first kernel's and the way out to the last one's.
        stack_bytes: the deepest that the stack was, from its top.
        arena_bytes: the arena's bytes up to the last one that was written.
    """

    outputs: tuple[Values, ...]
    layers: tuple[int, ...]
    stack_bytes: int
    arena_bytes: int

    @property
    def instructions(self) -> int:
        """All of them."""
        return sum(self.layers)


class Inferences:
    """Runs samples through a firmware.

    Args:
        chip: watches the program's invoke function.
        firmware: that is in it.

    Raises:
        ChipFaultError: the firmware does not come to its first inference.
    """

    def __init__(self, chip: Chip, firmware: Firmware) -> None:
        self._chip = chip
        self._board = firmware.board
        self._image = firmware.image
        self._program = firmware.program
        self._memory = firmware.memory
        self._calls = list(self._program.calls())
        self._entry = chip.reach()
        self._arena = self._entry.r0
        self._below_stack = max(
            _stack_limit(firmware.image, firmware.board, self._entry.sp),
            self._entry.sp - _STACK_BYTES,
        )
        self._top_of_stack = int.from_bytes(chip.read(self._image.vectors, 4), "little")
        self._runs = 0

    def run(self, sample: Sample) -> Inference:
        """One inference.

        Args:
            sample: one array a graph input, of its shape and type.

        Raises:
            ChipFaultError: the chip refused an access, and in which layer; or something was written
                outside of arena and stack.
            VerificationError: the calls in the firmware are not the program's.
        """
        paint = self._prepare(sample)
        others = list(self._others())
        before = [self._chip.read(address, size) for address, size in others]
        self._resume({self._leaves_to})
        for (address, size), old in zip(others, before, strict=True):
            self._require_same(address, old, self._chip.read(address, size))
        return Inference(
            outputs=tuple(self._values(name) for name in self._program.graph.outputs),
            stack_bytes=self._stack_bytes(paint),
            arena_bytes=self._arena_bytes(paint),
            layers=self._layers(),
        )

    def activations(self, sample: Sample) -> Iterator[tuple[int, Mapping[str, Values]]]:
        """The same, step by step: (index, what the step wrote, by tensor name).

        Of steps in stripes all rows are collected as they are made, and given behind the last.

        Raises:
            ChipFaultError, VerificationError: see `run`.
        """
        self.run(sample)
        arrived, _ = self._chip.arrivals()
        ends = [arrival.address for arrival in arrived][: len(self._calls) - 1]
        ends.append(self._leaves_to)
        self._prepare(sample)
        begins = {stripes.first: stripes for stripes in self._program.stripes}
        index, steps = 0, self._program.steps
        while index < len(steps):
            if index in begins:
                yield from self._collected(begins[index], ends)
                index = begins[index].last + 1
                continue
            for _ in steps[index].kernels:
                self._resume({ends.pop(0)})
            yield index, {name: self._values(name) for name in steps[index].node.outputs}
            index += 1

    def _collected(
        self, stripes: Stripes, ends: list[int]
    ) -> Iterator[tuple[int, Mapping[str, Values]]]:
        graph, offsets = self._program.graph, self._memory.offsets
        nodes = {i: graph.nodes[i] for i in range(stripes.first, stripes.last + 1)}
        names = {i: node.outputs[0] for i, node in nodes.items()}
        found = {name: bytearray(graph.tensors[name].size_bytes) for name in names.values()}
        for call in stripes.calls():
            self._resume({ends.pop(0)})
            name, size = names[call.step], call.made_bytes
            made = self._chip.read(self._arena + offsets[name] + call.offsets[-1], size)
            found[name][call.begin : call.begin + size] = made
        for index, name in names.items():
            tensor = graph.tensors[name]
            values = np.frombuffer(bytes(found[name]), tensor.dtype.numpy)
            yield index, {name: values.reshape(tensor.shape)}

    def _prepare(self, sample: Sample) -> int:
        """Paint arena and stack, put the sample into the arena; the paint."""
        graph, chip = self._program.graph, self._chip
        paint = _PAINTS[self._runs % len(_PAINTS)]
        self._runs += 1
        chip.rewind()
        chip.write(self._arena, bytes([paint]) * self._memory.arena_bytes)
        chip.write(self._below_stack, bytes([paint]) * (self._entry.sp - self._below_stack))
        for name, value in zip(graph.inputs, sample, strict=True):
            chip.write(
                self._arena + self._memory.offsets[name], np.ascontiguousarray(value).tobytes()
            )
        return paint

    def _resume(self, stops: set[int]) -> None:
        try:
            self._chip.resume(stops)
        except ChipFaultError as fault:
            if fault.calls < len(self._calls):
                index = self._calls[fault.calls].step
                node = self._program.graph.nodes[index]
                where = f"{fault} In layer {index}, {node.op.tflite_name} '{node.name}'."
                raise ChipFaultError(where, calls=fault.calls) from None
            raise

    @property
    def _leaves_to(self) -> int:
        return self._entry.lr & ~1

    def _values(self, name: str) -> Values:
        tensor = self._program.graph.tensors[name]
        if tensor.data is not None:
            return tensor.data
        data = self._chip.read(self._arena + self._memory.offsets[name], tensor.size_bytes)
        return np.frombuffer(data, tensor.dtype.numpy).reshape(tensor.shape)

    def _layers(self) -> tuple[int, ...]:
        """Compilers may leave the function by a jump into the last kernel, which then returns to
        the caller: then there is one return less than there are calls.
        """
        arrived, total = self._chip.arrivals()
        if len(arrived) not in (len(self._calls), len(self._calls) - 1) and self._calls:
            raise VerificationError(
                f"The firmware makes {len(arrived)} calls in an inference, "
                f"its program {len(self._calls)}.",
                hint="Was it compiled with link-time optimisation?",
            )
        ends = [*(one.instructions for one in arrived[: len(self._calls) - 1]), total]
        layers = [0] * len(self._program.steps)
        begin = 0
        for call, end in zip(self._calls, ends, strict=False):
            layers[call.step] += end - begin
            begin = end
        return tuple(layers)

    def _stack_bytes(self, paint: int) -> int:
        size = self._entry.sp - self._below_stack
        touched = np.frombuffer(self._chip.read(self._below_stack, size), np.uint8) != paint
        first = int(touched.argmax()) if touched.any() else size
        if first == 0:
            raise ChipFaultError(
                f"The stack is more than {self._top_of_stack - self._below_stack:,} bytes."
            )
        return self._top_of_stack - (self._below_stack + first)

    def _arena_bytes(self, paint: int) -> int:
        graph, offsets = self._program.graph, self._memory.offsets
        used = np.frombuffer(self._chip.read(self._arena, self._memory.arena_bytes), np.uint8)
        written = np.flatnonzero(used != paint)
        inputs = (offsets[name] + graph.tensors[name].size_bytes for name in graph.inputs)
        return max([int(written[-1]) + 1 if written.size else 0, *inputs])

    def _others(self) -> Iterator[tuple[int, int]]:
        """(address, bytes) of the firmware's variables, and behind them: no kernel's to write."""
        end = self._arena + self._memory.arena_bytes
        for piece in self._image.pieces:
            if piece.load_address == piece.address and piece.data:
                continue  # in flash
            first, last = piece.address, piece.address + piece.size_bytes
            if first <= self._below_stack < last:
                continue  # the stack's own section
            if first <= self._arena and end <= last:
                yield first, self._arena - first
                yield end, last - end
            else:
                yield first, last - first
        yield from self._free()

    def _free(self) -> Iterator[tuple[int, int]]:
        """(address, bytes) of the RAM that nothing was given, as far as it is looked at."""
        for region in self._board.memory:
            if region.kind == "ram" and region.base is not None:
                end = region.base + region.bytes
                taken = (
                    piece.address + piece.size_bytes
                    for piece in self._image.pieces
                    if region.base <= piece.address < end
                )
                first = max(taken, default=end)
                if first <= self._below_stack:
                    continue  # a stack that grows down from the top of RAM is painted
                yield first, min(_GUARD_BYTES, end - first)

    def _require_same(self, address: int, old: bytes, new: bytes) -> None:
        changed = np.flatnonzero(np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8))
        if changed.size:
            at = address + int(changed[0])
            raise ChipFaultError(
                f"The inference wrote outside of its arena, at {at:#010x} "
                f"({self._image.name_of(at) or 'free memory'})."
            )


def _stack_limit(image: Image, board: Board, sp: int) -> int:
    """The lowest address that the stack may grow to."""
    limits = [
        region.base
        for region in board.memory
        if region.base is not None and region.base < sp <= region.base + region.bytes
    ]
    for piece in image.pieces:
        end = piece.address + piece.size_bytes
        if piece.address < sp <= end:
            limits.append(piece.address)
        elif end <= sp:
            limits.append(end)
    return max(limits, default=sp)
