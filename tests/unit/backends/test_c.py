"""The generated firmware: compiled for every board by the compilers at hand, its image checked."""

import importlib.util
import shutil
import struct
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.bundles import written_for
from support.c_host import CC, STRICT, needs_compiler
from support.deployments import LABELS, as_program, bare_deployment
from support.deployments import deployment as any_deployment
from support.graphs import single_op_graphs
from support.networks import mixed_ends, two_by_two

from edgekit.backends import c
from edgekit.backends.base import Deployment
from edgekit.backends.c import BACKEND, STACK_BYTES, sources
from edgekit.emulate import toolchain
from edgekit.emulate.firmware import compile_bundle, sections, sizes
from edgekit.errors import DoesNotFitError, InputError, MissingToolError
from edgekit.plan import boards
from edgekit.resources import templates_dir

BOARDS = [board.id for board in boards.for_backend("c")]
THUMB = 1
QEMU = shutil.which("qemu-system-arm")


def deployment(board_id: str) -> Deployment:
    return as_program(any_deployment(board_id))


def compiler(name: str, board: boards.Board) -> toolchain.Toolchain:
    try:
        return toolchain.for_core(board.core, board.features, name)
    except MissingToolError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def elves(tmp_path_factory: pytest.TempPathFactory) -> "Elves":
    return Elves(tmp_path_factory.mktemp("elves"))


class Elves:
    """Each board's firmware, compiled once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.of = cache(self._of)

    def _of(self, board_id: str, compiler_name: str) -> bytes:
        made = deployment(board_id)
        chosen = compiler(compiler_name, made.board).with_flags("-Werror")
        folder = self._folder / f"{board_id}_{compiler_name}"
        folder.mkdir()
        for name, content in sources(made).items():
            (folder / name).write_bytes(content)
        compile_bundle(folder, folder / "self_test.elf", chosen)
        return (folder / "self_test.elf").read_bytes()


def by_name(elf: bytes) -> dict[str, tuple[int, int]]:
    """(address, size) of each section that takes memory."""
    return {s.name: (s.address, s.size_bytes) for s in sections(elf)}


def content(elf: bytes, address: int, length: int) -> bytes:
    """What flash holds there."""
    uf2 = uf2_module(0)
    for start, data in uf2.segments(elf):
        if start <= address < start + len(data):
            return bytes(data[address - start : address - start + length])
    raise AssertionError(f"nothing at {address:#x}")


def uf2_module(family: int) -> ModuleType:
    spec = importlib.util.spec_from_loader("uf2", None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    text = sources(deployment("rpi_pico" if family != 0xE48BFF59 else "rpi_pico2"))["uf2.py"]
    exec(compile(text, "uf2.py", "exec"), module.__dict__)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcc", "zig"])
@pytest.mark.parametrize("board_id", BOARDS)
def test_every_board_gets_vectors_stack_and_arena_where_its_memory_is(
    board_id: str, name: str, elves: Elves
) -> None:
    """Compiled without a warning; nothing of this was run."""
    elf, board = elves.of(board_id, name), boards.load(board_id)
    flash, ram = board.flash_region, board.arena_region
    assert flash is not None and ram is not None and flash.base is not None
    placed = by_name(elf)
    boot = 256 if board_id == "rpi_pico" else 0
    assert placed[".vectors"][0] == flash.base + boot
    assert placed[".stack"] == (ram.base, STACK_BYTES)
    assert placed[".arena"][1] == deployment(board_id).arena.arena_bytes
    assert placed[".arena"][0] % 16 == 0
    for region, in_region in ((flash, "in_flash"), (ram, "in_ram")):
        for section in sections(elf):
            if getattr(section, in_region) and section.in_flash != section.in_ram:
                assert region.base is not None
                end = section.address + section.size_bytes
                assert region.base <= section.address <= end <= region.base + region.bytes
    table = struct.unpack("<16I", content(elf, placed[".vectors"][0], 64))
    text = placed[".text"]
    assert table[0] == placed[".stack"][0] + STACK_BYTES and table[0] % 8 == 0
    for handler in filter(None, table[1:]):
        assert handler & THUMB and text[0] <= handler < sum(text)
    assert struct.unpack_from("<I", elf, 24)[0] == table[1]  # the entry point is the reset handler


@pytest.mark.slow
@pytest.mark.skipif(QEMU is None, reason="qemu-system-arm is not installed")
@pytest.mark.parametrize("name", ["gcc", "zig"])
@pytest.mark.parametrize("board_id", ["mps2_an386", "mps2_an500", "mps3_an547"])
def test_self_test_passes_in_qemu_and_ends_with_an_exit_code(
    board_id: str, name: str, elves: Elves, tmp_path: Path
) -> None:
    emulator = boards.load(board_id).emulator
    assert QEMU is not None and emulator is not None and emulator.semihosting
    elf = tmp_path / "self_test.elf"
    elf.write_bytes(elves.of(board_id, name))
    command = [QEMU, "-M", emulator.qemu, "-nographic", "-semihosting", "-kernel", str(elf)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.stdout.splitlines()[-1] == b"self test: PASSED"
    assert done.returncode == 0


@pytest.mark.slow
def test_what_lies_in_flash_is_named_to_the_byte(elves: Elves) -> None:
    made = deployment("mps2_an386")
    elf = elves.of("mps2_an386", "gcc")
    found = sizes(elf)
    golden = sum(v.nbytes for v in (*made.golden.inputs, *made.golden.outputs))
    assert golden <= found.test_bytes < golden + 16
    weights = sum(tensor.size_bytes for tensor in made.graph.constants())
    assert weights < found.weights_bytes < weights + 4096
    assert found.arena_bytes == made.arena.arena_bytes
    assert 2048 < found.code_bytes < 16_384
    loaded = sum(len(data) for _, data in uf2_module(0).segments(elf))
    flash = found.code_bytes + found.weights_bytes + found.test_bytes
    assert flash <= loaded < flash + 64  # and what aligns


def test_without_a_compiler_the_code_is_an_estimate_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    report = BACKEND.report(deployment("nucleo_f446re"))
    assert not report["firmware"]["compiled"] and "edgekit[c]" in report["firmware"]["reason"]
    assert not report["memory"]["code_is_measured"]
    assert "code (estimate)" in report["fit"]["regions"]["flash"]["items"]


@pytest.mark.slow
def test_the_estimate_is_above_what_a_compiler_makes() -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    for board_id in ("rpi_pico", "nucleo_f446re", "mps3_an547"):
        made = deployment(board_id)
        report = BACKEND.report(made)
        assert report["memory"]["code_is_measured"]
        measured = report["fit"]["regions"]["flash"]["items"]["code"]
        assert (
            measured <= c.fit(made, None).to_json()["regions"]["flash"]["items"]["code (estimate)"]
        )


def test_the_files_do_not_depend_on_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    files = BACKEND.files(deployment("mps2_an386"))
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    assert BACKEND.files(deployment("mps2_an386")) == files


def test_only_the_kernels_that_are_used_are_there() -> None:
    names = set(BACKEND.files(deployment("mps2_an386")))
    assert "ek_conv_s8.c" in names and "ek_mem.c" in names
    assert not {"ek_transpose_8.c", "ek_max_pool_s8.c", "ek_chip_rp2040.c", "uf2.py"} & names
    (relu6,) = (g for n, g in single_op_graphs(quantized=True).items() if n.lower() == "relu6")
    kernels = {
        n for n in sources(bare_deployment("mps2_an386", relu6)) if n.startswith("ek_lookup")
    }
    assert kernels == {"ek_lookup_8.c", "ek_lookup_8.h"}


def test_a_program_that_does_not_fit_says_by_how_much() -> None:
    made = deployment("nucleo_f446re")
    small = made.board.memory[1].model_copy(update={"bytes": 5000})
    board = made.board.model_copy(update={"memory": (made.board.memory[0], small)})
    used = made.arena.arena_bytes + 4096
    lacking = rf"lacks {used - 5000:,} bytes of RAM \({used:,} of 5,000\)"
    with pytest.raises(DoesNotFitError, match=lacking):
        BACKEND.check(replace(made, board=board))


@needs_compiler
@pytest.mark.parametrize("network", [None, two_by_two, mixed_ends])
def test_self_test_passes_on_this_computer_and_fails_for_a_wrong_answer(
    network: object, tmp_path: Path
) -> None:
    """Everything but start-up and serial port, which print to stdout instead."""
    graph = network() if callable(network) else None
    made = as_program(bare_deployment("mps2_an386", graph)) if graph else deployment("mps2_an386")
    chip = {"ek_start.c", "ek_chip_fixed.c", "ek_uart_cmsdk.c", "ek_console.c", "ek_mem.c"}
    for name, text in sources(made).items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "console.c").write_text(
        '#include <stdio.h>\n#include "ek_console.h"\n'
        "void ek_print(const char *text) { fputs(text, stdout); }\n"
        'void ek_print_number(uint32_t number) { printf("%u", (unsigned)number); }\n'
    )
    used = [path for path in sorted(tmp_path.glob("*.c")) if path.name not in chip]
    program = tmp_path / "program"
    subprocess.run([CC, *STRICT, "-O1", *used, "-o", program], check=True)
    said = subprocess.run([program], capture_output=True, text=True)
    lines = said.stdout.splitlines()
    assert said.returncode == 0 and lines[-1] == "self test: PASSED"
    assert lines[0].startswith("golden vector 1/4: ok")
    if graph is None:
        assert {line.split(", ", 1)[1] for line in lines[:-1]} <= set(LABELS)
    outputs = [values.copy() for values in made.golden.outputs]
    outputs[-1].reshape(-1).view(np.uint8)[0] ^= 1
    wrong = replace(made, golden=replace(made.golden, outputs=tuple(outputs)))
    (tmp_path / "golden_vectors.c").write_bytes(sources(wrong)["golden_vectors.c"])
    subprocess.run([CC, *STRICT, "-O1", *used, "-o", program], check=True)
    said = subprocess.run([program], capture_output=True, text=True)
    assert said.returncode == 1 and "1/4: WRONG" in said.stdout and "FAILED" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["make", "cmake"])
@pytest.mark.parametrize("board_id", ["mps2_an386", "rpi_pico"])
def test_the_build_files_build(board_id: str, tool: str, tmp_path: Path) -> None:
    for needed in (tool, "arm-none-eabi-gcc"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    bundle, build = written_for("c", tmp_path / "b", deployment(board_id)), tmp_path / "build"
    commands = {
        "make": [["make", "-s", "-C", bundle, f"BUILD={build}"]],
        "cmake": [["cmake", "-S", bundle, "-B", build], ["cmake", "--build", build]],
    }
    for command in commands[tool]:
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
    assert (build / "self_test.elf").exists()
    assert (build / "self_test.uf2").exists() == (board_id == "rpi_pico")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board_id", "family"), [("rpi_pico", 0xE48BFF56), ("rpi_pico2", 0xE48BFF59)]
)
def test_uf2_holds_the_program_in_numbered_blocks(board_id: str, family: int, elves: Elves) -> None:
    elf = elves.of(board_id, "gcc")
    image = uf2_module(family).uf2(elf)
    assert len(image) % 512 == 0
    blocks = [image[at : at + 512] for at in range(0, len(image), 512)]
    flash = bytearray(len(blocks) * 256)
    for index, block in enumerate(blocks):
        head = struct.unpack_from("<8I", block)
        assert head[:3] == (0x0A324655, 0x9E5D5157, 0x2000)
        assert head[4:] == (256, index, len(blocks), family)
        assert block[-4:] == struct.pack("<I", 0x0AB16F30)
        assert head[3] == 0x1000_0000 + 256 * index
        flash[256 * index : 256 * index + 256] = block[32 : 32 + 256]
    for address, data in uf2_module(family).segments(elf):
        start = address - 0x1000_0000
        assert flash[start : start + len(data)] == data


@pytest.mark.slow
def test_rp2350_finds_its_image_definition_in_the_first_4_kb(elves: Elves) -> None:
    elf = elves.of("rpi_pico2", "gcc")
    start = content(elf, 0x1000_0000, 4096)
    at = start.index(struct.pack("<I", 0xFFFFDED3))
    assert at % 4 == 0
    assert struct.unpack_from("<5I", start, at) == (
        *(0xFFFFDED3, 0x10210142, 0x000001FF),
        *(0x00000000, 0xAB123579),
    )


@pytest.mark.slow
def test_rp2040_starts_with_256_bytes_under_a_checksum(elves: Elves) -> None:
    elf = elves.of("rpi_pico", "gcc")
    assert by_name(elf)[".boot"] == (0x1000_0000, 256)
    stage = content(elf, 0x1000_0000, 256)
    checksum = 0xFFFFFFFF
    for byte in stage[:252]:
        checksum ^= byte << 24
        for _ in range(8):
            carry = checksum >> 31
            checksum = (checksum << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if carry else 0)
    assert struct.unpack("<I", stage[252:]) == (checksum,)


@pytest.mark.parametrize("name", ["gcc", "zig"])
def test_the_boot_stage_is_what_its_source_assembles_to(name: str, tmp_path: Path) -> None:
    board = boards.load("rpi_pico")
    chosen = compiler(name, board)
    made = tmp_path / "boot2.o"
    source = templates_dir() / "boards" / "ek_boot2_rp2040.S"
    core = {"gcc": toolchain.gcc_flags, "zig": toolchain.zig_flags}[name](board.core, ())
    subprocess.run([*chosen.command, *core, "-c", str(source), "-o", str(made)], check=True)
    elf = made.read_bytes()
    array = (templates_dir() / "boards" / "ek_boot2_rp2040.c").read_text()
    words = [int(cell.strip("u"), 16) for cell in array.split("{")[1].replace(",", " ").split()
             if cell.startswith("0x")][:-1]  # fmt: skip
    assert struct.pack(f"<{len(words)}I", *words) in elf


def test_what_is_no_elf_is_refused() -> None:
    with pytest.raises(InputError, match="no ELF"):
        list(sections(b"\x7fELF\x02\x01" + bytes(60)))
