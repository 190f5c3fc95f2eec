"""Reading a firmware's ELF, and the registers that are no memory."""

from __future__ import annotations

import pytest

from edgekit.emulate.chip.firmware import Firmware
from edgekit.emulate.chip.image import read_image
from edgekit.emulate.chip.peripherals import UARTS, Peripherals
from edgekit.errors import InputError
from edgekit.plan import boards


def test_an_image_knows_what_lies_where(made: Firmware) -> None:
    image = made.image
    assert image.vectors == 0
    invoke = image.symbol("ek_model_invoke")
    assert invoke.is_function and invoke.address % 2 == 0 and invoke.size_bytes > 0
    assert image.name_of(invoke.address) == "ek_model_invoke"
    assert image.name_of(invoke.address + 4) == "ek_model_invoke+0x4"
    assert image.name_of(0x6000_0000) == ""
    arena = image.symbol("ek_arena")
    assert arena.size_bytes == made.memory.arena_bytes and arena.address >= 0x2000_0000
    data = {piece.name: piece for piece in image.pieces}
    assert data[".arena"].data == b"" and data[".weights"].data
    with pytest.raises(InputError, match="no symbol 'nothing'"):
        image.symbol("nothing")


def test_what_is_no_firmware(made: Firmware) -> None:
    for content in (b"", b"MZ", made.image.elf[:200]):
        with pytest.raises(InputError, match="firmware"):
            read_image(content)


@pytest.mark.parametrize("board", ["mps2_an386", "stm32f405", "nucleo_h743zi", "nrf52840_dk"])
def test_a_uart_is_ready_and_sends(board: str) -> None:
    port = boards.load(board).uart
    assert port is not None
    kind, peripherals = UARTS[port.kind], Peripherals(port)
    for offset, shown in kind.status.items():
        assert [peripherals.read(port.base + offset) for _ in range(50)] == [shown] * 50
    for byte in b"hi":
        peripherals.write(port.base + kind.data, 0xFFFF_FF00 | byte)
    assert peripherals.sent == b"hi"


def test_other_registers_keep_what_is_written_until_somebody_waits() -> None:
    peripherals = Peripherals(None)
    peripherals.write(0x4002_3800, 0x1_0000)
    assert peripherals.read(0x4002_3800) == 0x1_0000
    polled = [peripherals.read(0x4002_3800) for _ in range(40)]
    assert 0xFFFF_FFFF in polled and 0 in polled
    assert peripherals.read(0x4002_3804) == 0
    assert peripherals.read(0x4002_3800) == 0x1_0000
