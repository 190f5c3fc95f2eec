import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.emulate import toolchain
from edgekit.emulate.toolchain import CORES, for_core, for_host
from edgekit.errors import EdgekitError, MissingToolError, UnsupportedError, UsageError

FEATURES = {
    "cortex-m4": ("fpu-sp", "dsp"),
    "cortex-m7": ("fpu-sp", "fpu-dp", "dsp"),
    "cortex-m33": ("fpu-sp", "dsp"),
    "cortex-m55": ("fpu-sp", "fpu-dp", "dsp", "mve"),
}
# Of the ABI's attribute Tag_CPU_arch: v6S-M, v7, v7E-M, v8-M.main, v8.1-M.main.
ARCHITECTURES = {
    "cortex-m0plus": 12,
    "cortex-m3": 10,
    "cortex-m4": 13,
    "cortex-m7": 13,
    "cortex-m33": 17,
    "cortex-m55": 21,
}
# Divides 64-bit integers and multiplies floats: both take a routine of the compiler's library
# somewhere.
SOURCE = """
#include <stdint.h>
volatile int32_t value = 5;
void ek_start(void);
void ek_start(void) {
  value = (int32_t)((int64_t)value * 1000003 / (value | 1));
  value = (int32_t)((float)value * 2.5f);
  for (;;) {
  }
}
"""
SCRIPT = """
MEMORY {
  flash (rx) : ORIGIN = 0x08000000, LENGTH = 64K
  ram (rw) : ORIGIN = 0x20000000, LENGTH = 8K
}
SECTIONS {
  .text : { KEEP(*(.text.ek_start)) *(.text .text.* .rodata .rodata.*) } > flash
  .data : { *(.data .data.*) } > ram AT > flash
  .bss (NOLOAD) : { *(.bss .bss.* COMMON) } > ram
  /DISCARD/ : { *(.ARM.exidx* .ARM.extab*) }
}
"""


@pytest.fixture(autouse=True)
def _fresh_versions() -> Iterator[None]:
    toolchain._version.cache_clear()
    yield
    toolchain._version.cache_clear()


def present(compiler: str) -> bool:
    try:
        for_core("cortex-m4", (), compiler)
    except MissingToolError:
        return False
    return True


@pytest.mark.parametrize("compiler", toolchain.COMPILERS)
@pytest.mark.parametrize("core", CORES)
def test_every_core_gets_a_program_of_its_own_instructions(
    core: str, compiler: str, tmp_path: Path
) -> None:
    if not present(compiler):
        pytest.skip(f"{compiler} for Arm is not installed")
    elffile = pytest.importorskip("elftools.elf.elffile", reason="pyelftools is not installed")
    (tmp_path / "a.c").write_text(SOURCE)
    (tmp_path / "link.ld").write_text(SCRIPT)
    chosen = for_core(core, FEATURES.get(core, ()), compiler)
    chosen.build([tmp_path / "a.c"], tmp_path / "a.elf", tmp_path / "link.ld")
    with (tmp_path / "a.elf").open("rb") as stream:
        elf = elffile.ELFFile(stream)
        assert elf.header.e_entry & ~1 == 0x0800_0000
        attributes = elf.get_section_by_name(".ARM.attributes")
        said = {a.tag: a.value for a in attributes.subsections[0].subsubsections[0].attributes}
        assert said["TAG_CPU_ARCH"] == ARCHITECTURES[core]
        assert bool(said.get("TAG_ABI_VFP_ARGS")) == (core in FEATURES)
        assert elf.get_section_by_name(".data").header.sh_addr == 0x2000_0000


def test_reports_say_which_compiler_of_which_version() -> None:
    host = for_host()
    assert re.fullmatch(r"(cc|gcc|clang|zig cc) \d+\.\d+(\.\d+)?", host.title)
    assert "-O3" in host.with_flags("-O3").flags and "-O3" not in host.flags


def test_what_the_compiler_says_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int f(void) { return missing; }\n")
    with pytest.raises(EdgekitError, match="could not build the firmware") as caught:
        for_host().build([tmp_path / "a.c"], tmp_path / "a")
    assert "missing" in str(caught.value)


def test_without_a_compiler_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match="No C compiler for Arm") as caught:
        for_core("cortex-m4")
    assert "pip install 'edgekit[c]'" in caught.value.hint
    with pytest.raises(MissingToolError, match="The compiler 'zig' is not installed"):
        for_core("cortex-m4", (), "zig")
    with pytest.raises(MissingToolError, match="for this computer"):
        for_host()


def test_gcc_is_preferred_then_a_clang_with_a_library_then_zig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With programs that only say what the real ones say."""
    library = tmp_path / "libclang_rt.builtins.a"
    library.touch()
    programs = {
        "arm-none-eabi-gcc": "echo 'arm-none-eabi-gcc (x) 12.2.1 20221205'",
        "clang": f"case $1 in --version) echo 'clang version 19.1.5';; *) echo {library};; esac",
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert for_core("cortex-m3").title == "arm-none-eabi-gcc 12.2.1"
    clang = for_core("cortex-m4", ("fpu-sp",), "clang")
    assert clang.title == "clang 19.1.5"
    assert clang.flags[:2] == ("--target=thumbv7em-none-eabihf", "-mcpu=cortex-m4")
    assert clang.libraries == (str(library),)
    library.unlink()
    with pytest.raises(MissingToolError):
        for_core("cortex-m4", ("fpu-sp",), "clang")


def test_a_float_unit_is_used_only_where_the_board_has_it() -> None:
    assert toolchain.gcc_flags("cortex-m4", ()) == (
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=soft",
    )
    assert "-mfpu=fpv5-d16" in toolchain.gcc_flags("cortex-m7", ("fpu-sp", "fpu-dp"))
    assert toolchain.zig_flags("cortex-m7", ("fpu-sp",))[2] == "-mcpu=cortex_m7+fp_armv8d16sp"


def test_other_cores_and_compilers_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="xtensa-lx7"):
        for_core("xtensa-lx7")
    with pytest.raises(UsageError, match="Unknown compiler 'gc'"):
        for_core("cortex-m4", (), "gc")
