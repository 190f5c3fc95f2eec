"""Does a model fit a microcontroller: RAM and flash, itemised.

A board, the model's size and its predicted arena enter; a frozen `Fit` leaves, or a DoesNotFitError
that says by how much and what weighs most. Code, stack and C library are estimates and say so; the
linker has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgekit.errors import DoesNotFitError
from edgekit.graph.ir import Graph, Tensor
from edgekit.plan import boards
from edgekit.plan.arena import ArenaPlan
from edgekit.plan.boards import Board
from edgekit.plan.names import short_name

# TFLite Micro with the ops of a CNN, CMSIS-NN and the start-up code, on a Cortex-M4: 45 to 60 KB.
CODE_BYTES = 64 * 1024
# Interpreter objects, stack (kernels keep little on it) and what the C library takes.
STACK_BYTES = 8 * 1024
_HEAVIEST = 3
_KINDS = {"ram": "RAM", "flash": "flash"}


@dataclass(frozen=True)
class RegionFit:
    """What goes into one region of memory.

    Attributes:
        region: the board's name of it.
        kind: "ram" or "flash".
        capacity_bytes: what it holds.
        items: (what, bytes), the largest first.
    """

    region: str
    kind: str
    capacity_bytes: int
    items: tuple[tuple[str, int], ...]

    @property
    def used_bytes(self) -> int:
        """All items together."""
        return sum(size for _, size in self.items)

    @property
    def free_bytes(self) -> int:
        """What is left; negative if it does not fit."""
        return self.capacity_bytes - self.used_bytes


@dataclass(frozen=True)
class Fit:
    """The verdict: the region of the arena and the region of the model.

    Attributes:
        board: the board's name.
        regions: one entry a region; empty for a board whose memory is not listed.
        peak_node: the node during which most activations are alive.
        heaviest: what to shrink: (kind of region, tensor, bytes), the largest of each kind.
        roomier: the ids of the target's other boards that have room for as many bytes.
    """

    board: str
    regions: tuple[RegionFit, ...]
    peak_node: str
    heaviest: tuple[tuple[str, str, int], ...]
    roomier: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every region has room."""
        return all(region.free_bytes >= 0 for region in self.regions)

    def require(self, smaller: tuple[str, ...] = ()) -> None:
        """Nothing if it fits.

        Args:
            smaller: options that were found to make it fit, where that was looked for.

        Raises:
            DoesNotFitError: names the region, the missing bytes and the heaviest tensors.
        """
        full = [region for region in self.regions if region.free_bytes < 0]
        if not full:
            return
        missing = " and ".join(
            f"{-region.free_bytes:,} bytes of {_KINDS[region.kind]} "
            f"({region.used_bytes:,} of {region.capacity_bytes:,})"
            for region in full
        )
        kinds = {region.kind for region in full}
        weighty = ", ".join(
            f"{short_name(name)} {size:,}" for k, name, size in self.heaviest if k in kinds
        )
        peak = f" The peak is at '{short_name(self.peak_node)}'." if "ram" in kinds else ""
        raise DoesNotFitError(
            f"The model does not fit {self.board}: it lacks {missing}.",
            hint=f"{_remedy(smaller, self.roomier)} Heaviest tensors, in bytes: {weighty}.{peak}",
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for reports."""
        regions = {
            region.kind: {
                "region": region.region,
                "capacity_bytes": region.capacity_bytes,
                "used_bytes": region.used_bytes,
                "free_bytes": region.free_bytes,
                "items": dict(region.items),
            }
            for region in self.regions
        }
        return {"board": self.board, "fits": self.fits, "regions": regions}


def judge(
    board: Board, graph: Graph, model_bytes: int, arena: ArenaPlan, *, test_bytes: int = 0
) -> Fit:
    """The verdict for a graph run by TFLite Micro.

    Args:
        board: whose memory counts.
        graph: names what weighs most.
        model_bytes: size of the TFLite file.
        arena: as predicted for the board.
        test_bytes: golden vectors that are linked for the self test.
    """
    ram = {
        "activations and scratch": arena.activations_bytes,
        "rest of the arena": arena.arena_bytes - arena.activations_bytes,
        "stack and C library (estimate)": STACK_BYTES,
    }
    flash = {"model": model_bytes, "code (estimate)": CODE_BYTES, "self test": test_bytes}
    return _verdict(board, "tflm", graph, arena, ram, flash)


def judge_program(
    board: Board,
    graph: Graph,
    arena: ArenaPlan,
    *,
    stack_bytes: int,
    weights_bytes: int,
    code: tuple[str, int],
    test_bytes: int = 0,
) -> Fit:
    """The verdict for a graph as a generated C program.

    Args:
        board: whose memory counts.
        graph: names what weighs most.
        arena: of the program.
        stack_bytes: that the linker script sets apart.
        weights_bytes: all constants of the kernels.
        code: what its size is, measured or estimated, and the bytes of everything else in flash.
        test_bytes: golden vectors that are linked for the self test.
    """
    ram = {"arena": arena.arena_bytes, "stack": stack_bytes}
    flash = {"weights": weights_bytes, code[0]: code[1], "self test": test_bytes}
    return _verdict(board, "c", graph, arena, ram, flash)


def _verdict(
    board: Board,
    target: str,
    graph: Graph,
    arena: ArenaPlan,
    ram: dict[str, int],
    flash: dict[str, int],
) -> Fit:
    regions = []
    if board.arena_region:
        regions.append(_region(board.arena_region.name, "ram", board.arena_region.bytes, ram))
    if board.flash_region:
        regions.append(_region(board.flash_region.name, "flash", board.flash_region.bytes, flash))
    roomier = _roomier(board, target, regions)
    return Fit(board.name, tuple(regions), arena.peak_node, _heaviest(graph), roomier)


def _roomier(board: Board, target: str, regions: Iterable[RegionFit]) -> tuple[str, ...]:
    needed = {region.kind: region.used_bytes for region in regions}
    found = []
    for other in boards.for_backend(target):
        room = {"ram": other.arena_region, "flash": other.flash_region}
        capacities = {kind: region.bytes for kind, region in room.items() if region}
        if all(capacities.get(kind, 0) >= size for kind, size in needed.items()):
            found.append(other.id)
    return tuple(name for name in found if name != board.id)


def _remedy(smaller: tuple[str, ...], roomier: tuple[str, ...]) -> str:
    ways = f"What would fit: {', or '.join(smaller)}" if smaller else "Take a smaller alpha or rho"
    if roomier:
        return f"{ways}, or a board that has room: {', '.join(roomier)}."
    return f"No board of this target has room. {ways}."


def _region(name: str, kind: str, capacity: int, items: dict[str, int]) -> RegionFit:
    ordered = sorted(items.items(), key=lambda item: -item[1])
    return RegionFit(name, kind, capacity, tuple(ordered))


def _heaviest(graph: Graph) -> tuple[tuple[str, str, int], ...]:
    activations = [t for t in graph.tensors.values() if not t.is_constant]
    return _largest("ram", activations) + _largest("flash", graph.constants())


def _largest(kind: str, tensors: Iterable[Tensor]) -> tuple[tuple[str, str, int], ...]:
    ordered = sorted(tensors, key=lambda t: (-t.size_bytes, t.name))
    return tuple((kind, t.name, t.size_bytes) for t in ordered[:_HEAVIEST])
