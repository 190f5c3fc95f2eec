from pathlib import Path

import pytest

from edgekit.errors import InputError, UsageError
from edgekit.plan import boards

GOOD = """
id = "toy"
name = "Toy"
backends = ["tflm"]
core = "cortex-m4"
clock_hz = 1_000_000
datasheet = "https://example.org/toy.pdf"
[[memory]]
name = "small"
kind = "ram"
bytes = 10
[[memory]]
name = "large"
kind = "ram"
bytes = 20
"""


def read(tmp_path: Path, text: str) -> boards.Board:
    path = tmp_path / "toy.toml"
    path.write_text(text)
    return boards.read(path)


@pytest.mark.parametrize("name", boards.names())
def test_every_shipped_board_loads_under_its_own_name(name: str) -> None:
    board = boards.load(name)
    assert board.id == name
    assert {*board.backends} <= {"coral", "rpi", "tflm", "c"}
    assert {*board.default_for} <= {*board.backends}


@pytest.mark.parametrize(
    ("backend", "default"),
    [
        ("coral", "coral_usb"),
        ("rpi", "raspberry_pi_4"),
        ("tflm", "arduino_nano_33_ble"),
        ("c", "mps2_an386"),
    ],
)
def test_default_board_of_each_backend_comes_first(backend: str, default: str) -> None:
    assert boards.default_for(backend).id == default
    assert boards.for_backend(backend)[0].id == default


def test_microcontrollers_list_ram_flash_clock_and_toolchain() -> None:
    for board in boards.for_backend("tflm"):
        assert board.arena_region and board.flash_region and board.clock_hz and board.toolchain


def test_arena_region_is_the_largest_single_region(tmp_path: Path) -> None:
    region = read(tmp_path, GOOD).arena_region
    assert region is not None
    assert (region.name, region.bytes) == ("large", 20)


def test_boards_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        boards.load("rpi_pico").clock_hz = 1  # type: ignore[misc]


def test_unknown_board_suggests_the_near_one() -> None:
    with pytest.raises(UsageError, match="Unknown board 'arduino_nano_33'") as caught:
        boards.load("arduino_nano_33")
    assert "arduino_nano_33_ble" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("clock_hz =", "clock_mhz ="), "toy.toml: (unknown key 'clock_mhz'|key 'clock_hz' is)"),
        (('kind = "ram"', 'kind = "rom"'), r"key 'memory.0.kind'.*'rom'"),
        (("bytes = 10", "bytes = 0"), r"key 'memory.0.bytes'"),
        (("bytes = 10", "size = 10"), r"memory.0"),
        (('core = "cortex-m4"', ""), "key 'core' is missing"),
        (('id = "toy"', 'id = "other"'), "its id 'other' must be the file's name"),
        (('id = "toy"', "id = toy"), "is not TOML"),
        (("https://", "http://"), "key 'datasheet'"),
    ],
)
def test_faults_name_the_file_and_the_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, GOOD.replace(*change))


C_BOARD = """
id = "toy"
name = "Toy"
backends = ["c"]
core = "cortex-m4"
clock_hz = 1_000_000
datasheet = "https://example.org/toy.pdf"
[[memory]]
name = "flash"
kind = "flash"
bytes = 100
base = 0
[[memory]]
name = "ram"
kind = "ram"
bytes = 10
base = 0x2000_0000
[chip]
kind = "stm32f4"
pll_multiplier = 336
[uart]
kind = "cmsdk"
base = 0x4000_4000
clock_hz = 1_000_000
"""


def test_a_board_for_c_says_where_its_memory_lies_and_how_it_starts(tmp_path: Path) -> None:
    board = read(tmp_path, C_BOARD)
    assert board.chip is not None and board.chip.kind == "stm32f4"
    assert board.uart is not None and board.uart.baud == 115_200
    for part in (
        "base = 0\n",
        "base = 0x2000_0000",
        '[chip]\nkind = "stm32f4"\npll_multiplier = 336',
    ):
        with pytest.raises(InputError, match=r"needs \[chip\], \[uart\], and a base"):
            read(tmp_path, C_BOARD.replace(part, ""))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"stm32f4"', '"stm32f1"'), "key 'chip'.*'stm32f1'"),
        (("pll_multiplier", "multiplier"), "chip.stm32f4.*multiplier"),
        (('kind = "cmsdk"', 'kind = "pl011"'), "key 'uart.pl011.tx_pin' is missing"),
        (("0x4000_4000", "0x1_0000_0000"), "uart.cmsdk.base"),
    ],
)
def test_kinds_of_chips_and_serial_ports_have_keys_of_their_own(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, C_BOARD.replace(*change))


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read board file"):
        boards.read(tmp_path / "absent.toml")
