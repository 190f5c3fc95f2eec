import pytest
from support.graphs import convnet

from edgekit.errors import DoesNotFitError
from edgekit.plan import boards
from edgekit.plan.arena import build_for, plan_arena
from edgekit.plan.boards import Board
from edgekit.plan.fit import CODE_BYTES, STACK_BYTES, Fit, judge

MODEL_BYTES = 10_000


def board(ram_bytes: int, flash_bytes: int) -> Board:
    values = boards.load("arduino_nano_33_ble").model_dump()
    values["memory"] = [
        {"name": "flash", "kind": "flash", "bytes": flash_bytes},
        {"name": "sram", "kind": "ram", "bytes": ram_bytes},
    ]
    return Board.model_validate(values)


def verdict(ram_bytes: int = 1_000_000, flash_bytes: int = 1_000_000) -> Fit:
    target = board(ram_bytes, flash_bytes)
    return judge(target, convnet(), MODEL_BYTES, plan_arena(convnet(), build_for(target)))


ARENA_BYTES = plan_arena(convnet(), build_for(boards.load("arduino_nano_33_ble"))).arena_bytes
RAM_NEEDED = ARENA_BYTES + STACK_BYTES
FLASH_NEEDED = MODEL_BYTES + CODE_BYTES


def test_items_add_up_to_what_is_used() -> None:
    ram, flash = verdict().regions
    assert (ram.used_bytes, flash.used_bytes) == (RAM_NEEDED, FLASH_NEEDED)
    assert [size for _, size in ram.items] == sorted((s for _, s in ram.items), reverse=True)
    verdict().require()


def test_the_last_byte_counts() -> None:
    assert verdict(RAM_NEEDED, FLASH_NEEDED).fits
    assert not verdict(RAM_NEEDED - 1, FLASH_NEEDED).fits
    assert not verdict(RAM_NEEDED, FLASH_NEEDED - 1).fits


def test_error_says_how_many_bytes_and_which_tensors() -> None:
    with pytest.raises(DoesNotFitError, match=r"lacks 1,000 bytes of RAM") as caught:
        verdict(ram_bytes=RAM_NEEDED - 1000).require()
    assert "peak is at 'block/pointwise'" in caught.value.hint
    assert "image 768, pad 648, block/add 512" in caught.value.hint


def test_error_names_the_boards_with_room() -> None:
    graph, small = convnet(), board(RAM_NEEDED - 1000, 1_000_000)
    arena = plan_arena(graph, build_for(small))
    fit = judge(small, graph, 600_000, arena)
    assert "nucleo_h743zi" in fit.roomier and "microbit_v2" not in fit.roomier
    with pytest.raises(DoesNotFitError) as caught:
        fit.require()
    assert "a board that has room" in caught.value.hint and "nucleo_h743zi" in caught.value.hint
    with pytest.raises(DoesNotFitError) as caught:
        judge(small, graph, 1 << 40, arena).require()
    assert "No board of this target has room" in caught.value.hint


def test_full_flash_blames_the_weights() -> None:
    with pytest.raises(DoesNotFitError, match=r"lacks 1 bytes of flash") as caught:
        verdict(flash_bytes=FLASH_NEEDED - 1).require()
    assert "down/weights" in caught.value.hint and "peak" not in caught.value.hint


def test_both_regions_are_named_at_once() -> None:
    with pytest.raises(DoesNotFitError, match=r"5 bytes of RAM .* and 7 bytes of flash"):
        verdict(RAM_NEEDED - 5, FLASH_NEEDED - 7).require()


def test_boards_without_listed_memory_fit() -> None:
    target = boards.load("coral_usb")
    fit = judge(target, convnet(), MODEL_BYTES, plan_arena(convnet(), build_for(target)))
    assert fit.fits and fit.regions == ()


def test_json_is_itemised() -> None:
    regions = verdict().to_json()["regions"]
    assert sum(regions["ram"]["items"].values()) == regions["ram"]["used_bytes"]
    assert regions["flash"]["items"]["model"] == MODEL_BYTES
