"""What would make an architecture fit is computed: what is named fits, the next larger does not."""

import re
from collections.abc import Callable

import pytest

from edgekit.errors import DoesNotFitError
from edgekit.models import registry
from edgekit.models.spec import ModelSpec
from edgekit.plan import boards
from edgekit.plan.boards import Board
from edgekit.stages import room
from edgekit.stages.request import Request

REQUEST = Request(target="c", arch="mobilenet_v1")


def spec(alpha: float, resolution: int) -> ModelSpec:
    return registry.resolve("mobilenet_v1", alpha, resolution=resolution, classes=10)


def with_ram(ram_bytes: int) -> Board:
    board = boards.load("stm32f405")
    flash, ram = board.memory
    return board.model_copy(update={"memory": (flash, ram.model_copy(update={"bytes": ram_bytes}))})


def refused(wanted: ModelSpec, board: Board) -> str | None:
    """The hint; None if it fits."""
    try:
        room.require_room(REQUEST, wanted, board)
    except DoesNotFitError as error:
        return error.hint
    return None


@pytest.mark.parametrize(
    ("wanted", "ram_bytes", "option", "changed"),
    [
        ((0.5, 64), 30_000, "--alpha", lambda value, more: (value + 0.05 * more, 64)),
        ((0.25, 128), 62_000, "--resolution", lambda value, more: (0.25, int(value) + 32 * more)),
    ],
)
def test_the_option_named_is_the_largest_that_fits(
    wanted: tuple[float, int],
    ram_bytes: int,
    option: str,
    changed: Callable[[float, int], tuple[float, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_can_prune", lambda: False)
    board = with_ram(ram_bytes)
    hint = refused(spec(*wanted), board)
    assert hint is not None
    found = re.search(rf"{option} ([\d.]+\d)", hint)
    assert found is not None, hint
    assert refused(spec(*changed(float(found[1]), 0)), board) is None
    larger = changed(float(found[1]), 1)
    assert larger == pytest.approx(wanted) or refused(spec(*larger), board) is not None


def test_where_neither_width_nor_resolution_is_enough_both_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_can_prune", lambda: False)
    board = with_ram(13_000)
    hint = refused(spec(0.5, 64), board)
    assert hint is not None
    found = re.search(r"--alpha ([\d.]+) --resolution (\d+)", hint)
    assert found is not None, hint
    assert refused(spec(float(found[1]), int(found[2])), board) is None


@pytest.mark.slow
def test_pruning_is_named_where_it_is_enough() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("torch_pruning", reason="torch-pruning is not installed")
    assert "--prune 0.75" in (refused(spec(1.0, 32), with_ram(16_000)) or "")


def test_only_programs_that_are_not_pruned_are_judged_before_training() -> None:
    tiny = with_ram(5_000)
    room.require_room(Request(target="tflm", arch="mobilenet_v1"), spec(1.0, 224), tiny)
    room.require_room(Request(target="c", arch="mobilenet_v1", prune=0.5), spec(1.0, 224), tiny)
