"""The compilers that make firmware of a bundle's C sources, and the flags that each core needs.

A core (or "this computer") enters, a `Toolchain` leaves: a frozen value that compiles and links,
and says for reports which compiler with which flags did it. Arm's GCC is taken where it is on the
PATH, else a clang that brings its run-time library for the core, else the clang inside the PyPI
package `ziglang`. Refused: a core without flags here, and a machine without any of the three.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from edgekit.errors import EdgekitError, MissingToolError, UnsupportedError, unknown_name

COMPILERS = ("gcc", "clang", "zig")  # in order of preference
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion")
_C11 = ("-std=c11", "-O2")
# What is not called is not linked; nothing is expected of a C library or an operating system.
_BARE = ("-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-unwind-tables")
COMMON_FLAGS = (*_C11, *_BARE, *STRICT)
ENTRY = "ek_start"  # where a chip's program begins; zig overlooks the ENTRY of a linker script
LINK_FLAGS = ("-nostdlib", "-Wl,--gc-sections", f"-Wl,-e,{ENTRY}")
_CURE = (
    "pip install 'edgekit[c]' brings one (ziglang); arm-none-eabi-gcc, on Debian and Ubuntu "
    "apt-get install gcc-arm-none-eabi, is taken where it is on the PATH."
)
_HOST_CURE = "Install gcc or clang, or pip install 'edgekit[c]', which brings one (ziglang)."
_SHOWN_LINES = 6


@dataclass(frozen=True)
class CoreFlags:
    """What each compiler calls a core.

    Attributes:
        gcc: GCC's and clang's -mcpu.
        triple: clang's architecture.
        zig: zig's -mcpu without a floating-point unit.
        fpu: by feature, the best first: (feature, GCC's -mfpu, what zig's -mcpu gets added).
    """

    gcc: str
    triple: str
    zig: str
    fpu: tuple[tuple[str, str, str], ...] = ()


_ARMV8_FPU = (("fpu-dp", "fpv5-d16", "fp_armv8d16"), ("fpu-sp", "fpv5-sp-d16", "fp_armv8d16sp"))
CORES: Mapping[str, CoreFlags] = {
    "cortex-m0plus": CoreFlags("cortex-m0plus", "thumbv6m", "cortex_m0plus"),
    "cortex-m3": CoreFlags("cortex-m3", "thumbv7m", "cortex_m3"),
    "cortex-m4": CoreFlags(
        "cortex-m4", "thumbv7em", "cortex_m4", (("fpu-sp", "fpv4-sp-d16", "vfp4d16sp"),)
    ),
    "cortex-m7": CoreFlags("cortex-m7", "thumbv7em", "cortex_m7", _ARMV8_FPU),
    # GCC and clang take the M33 with the DSP extension, as nearly all are built; zig without.
    "cortex-m33": CoreFlags("cortex-m33", "thumbv8m.main", "cortex_m33+dsp", _ARMV8_FPU),
    # Its name alone stands for the vector extension and both widths of float.
    "cortex-m55": CoreFlags("cortex-m55", "thumbv8.1m.main", "cortex_m55", (("mve", "auto", ""),)),
}


@dataclass(frozen=True)
class Toolchain:
    """A compiler with its flags.

    Attributes:
        name: of the compiler: "arm-none-eabi-gcc".
        version: as it says itself: "12.2.1".
        command: what to run.
        flags: for every source, and for linking too.
        link_flags: for linking, before the objects.
        libraries: for linking, behind the objects.
    """

    name: str
    version: str
    command: tuple[str, ...]
    flags: tuple[str, ...]
    link_flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name and version, for reports."""
        return f"{self.name} {self.version}"

    def with_flags(self, *flags: str) -> Toolchain:
        """The same with further flags."""
        return replace(self, flags=(*self.flags, *flags))

    def build(self, sources: Sequence[Path], program: Path, script: Path | None = None) -> None:
        """Compile the sources, each to an object of its name beside `program`, and link them.

        Args:
            sources: C files; they find their headers beside them.
            program: the file to make: an ELF for a chip.
            script: a linker script.

        Raises:
            EdgekitError: shows what the compiler said.
        """
        objects = program.parent / f"{program.stem}.objects"
        objects.mkdir(exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compiled = list(pool.map(partial(self._compile, objects), sources))
        placed = () if script is None else (f"-Wl,-T,{script}",)
        self._run(
            *self.flags, *self.link_flags, *placed, *map(str, compiled), *self.libraries,
            "-o", str(program),
        )  # fmt: skip

    def _compile(self, folder: Path, source: Path) -> Path:
        made = folder / f"{source.stem}.o"
        self._run(*self.flags, "-c", str(source), "-o", str(made))
        return made

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            said = "\n".join(done.stderr.strip().splitlines()[:_SHOWN_LINES])
            raise EdgekitError(f"{self.title} could not build the firmware:\n{said}")


def for_core(core: str, features: Sequence[str] = (), compiler: str | None = None) -> Toolchain:
    """The toolchain for a microcontroller's core.

    Args:
        core: as a board names it: "cortex-m4".
        features: likewise: "fpu-sp".
        compiler: one of `COMPILERS`; None takes the first of them that is installed.

    Raises:
        UnsupportedError: no flags are known for the core.
        UsageError: no such compiler.
        MissingToolError: it, or any of them, is not installed; says how to get one.
    """
    if core not in CORES:
        raise UnsupportedError(
            f"The C target has no compiler flags for the core '{core}'.",
            hint=f"It knows {', '.join(CORES)}.",
        )
    if compiler is not None and compiler not in _FINDERS:
        raise unknown_name("compiler", compiler, COMPILERS)
    for name in COMPILERS if compiler is None else (compiler,):
        found = _FINDERS[name](core, tuple(features))
        if found is not None:
            return found
    wanted = "No C compiler for Arm" if compiler is None else f"The compiler '{compiler}'"
    raise MissingToolError(f"{wanted} is not installed.", hint=_CURE)


def for_host() -> Toolchain:
    """The toolchain for this computer: cc, gcc, clang, or the one in ziglang.

    Raises:
        MissingToolError: none of them is installed; says how to get one.
    """
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return Toolchain(name, _version(path, "--version"), (path,), _C11)
    if find_spec("ziglang"):
        return Toolchain("zig cc", _zig_version(), _zig(), (*_C11, "-fno-sanitize=undefined"))
    raise MissingToolError("No C compiler for this computer is installed.", hint=_HOST_CURE)


def gcc_flags(core: str, features: Sequence[str]) -> tuple[str, ...]:
    """GCC's flags for a core."""
    known, unit = CORES[core], _fpu(core, features)
    floats = ("-mfloat-abi=hard", f"-mfpu={unit[0]}") if unit else ("-mfloat-abi=soft",)
    return (f"-mcpu={known.gcc}", "-mthumb", *floats)


def clang_flags(core: str, features: Sequence[str]) -> tuple[str, ...]:
    """Clang's flags for a core; it has no -mfpu=auto."""
    abi = "eabihf" if _fpu(core, features) else "eabi"
    rest = [flag for flag in gcc_flags(core, features) if flag not in ("-mthumb", "-mfpu=auto")]
    return (f"--target={CORES[core].triple}-none-{abi}", *rest)


def zig_flags(core: str, features: Sequence[str]) -> tuple[str, ...]:
    """Zig's flags for a core: its floating-point unit goes inside -mcpu."""
    unit = _fpu(core, features)
    added = f"+{unit[1]}" if unit and unit[1] else ""
    return (
        *("-target", "thumb-freestanding-" + ("eabihf" if unit else "eabi")),
        f"-mcpu={CORES[core].zig}{added}",
        "-fno-sanitize=undefined",  # zig's own default is on
    )


def _fpu(core: str, features: Sequence[str]) -> tuple[str, str] | None:
    """(GCC's name, zig's name) of the floating-point unit; None without one."""
    units = (names for feature, *names in CORES[core].fpu if feature in features)
    gcc, zig = next(units, (None, None))
    return None if gcc is None or zig is None else (gcc, zig)


def _gcc(core: str, features: tuple[str, ...]) -> Toolchain | None:
    path = shutil.which("arm-none-eabi-gcc")
    if path is None:
        return None
    return Toolchain(
        "arm-none-eabi-gcc",
        _version(path, "--version"),
        (path,),
        (*gcc_flags(core, features), *COMMON_FLAGS),
        LINK_FLAGS,
        ("-lgcc",),
    )


def _clang(core: str, features: tuple[str, ...]) -> Toolchain | None:
    """Clang is of use only with a compiler-rt for the core, as LLVM's toolchain for Arm has."""
    path, flags = shutil.which("clang"), clang_flags(core, features)
    if path is None:
        return None
    asked = [path, *flags, "-rtlib=compiler-rt", "-print-libgcc-file-name"]
    library = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    if not library or not Path(library).is_file():
        return None
    return Toolchain(
        "clang",
        _version(path, "--version"),
        (path,),
        (*flags, *COMMON_FLAGS),
        (*LINK_FLAGS, "-fuse-ld=lld"),
        (library,),
    )


def _zig_cc(core: str, features: tuple[str, ...]) -> Toolchain | None:
    if find_spec("ziglang") is None:
        return None
    return Toolchain(
        "zig cc",
        _zig_version(),
        _zig(),
        (*zig_flags(core, features), *COMMON_FLAGS),
        LINK_FLAGS,
        ("-lcompiler_rt",),
    )


_FINDERS: Mapping[str, Callable[[str, tuple[str, ...]], Toolchain | None]] = {
    "gcc": _gcc,
    "clang": _clang,
    "zig": _zig_cc,
}


def _zig() -> tuple[str, ...]:
    return (sys.executable, "-m", "ziglang", "cc")


def _zig_version() -> str:
    return _version(*_zig()[:-1], "version")


@cache
def _version(*command: str) -> str:
    """The version that a compiler says in its first line: the last number with a dot."""
    said = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    numbers = re.findall(r"\d+\.\d+(?:\.\d+)?", (said.splitlines() or [""])[0])
    return str(numbers[-1]) if numbers else "of unknown version"
