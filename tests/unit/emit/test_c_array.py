import ast
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from edgekit.emit.c_array import hex_bytes, identifier, integers, string

CC = shutil.which("cc")


def test_bytes_are_twelve_a_line_without_trailing_blanks() -> None:
    text = hex_bytes(bytes(range(14)))
    assert text.splitlines() == [
        "  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,",
        "  0x0c, 0x0d,",
    ]


@pytest.mark.parametrize("size", [0, 1, 11, 12, 13, 24, 1000])
def test_bytes_survive(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert bytes(ast.literal_eval(f"[{hex_bytes(data)}]")) == data


def test_four_megabytes_take_less_than_two_seconds() -> None:
    start = time.perf_counter()
    hex_bytes(bytes(4 << 20))
    assert time.perf_counter() - start < 2


def test_integers_are_wrapped() -> None:
    values = np.arange(-128, 128, dtype=np.int8)
    text = integers(values)
    assert ast.literal_eval(f"[{text}]") == values.tolist()
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.skipif(CC is None, reason="no C compiler (cc)")
@pytest.mark.parametrize("text", ['a "b" \\ c', "d\u00e9j\u00e0 vu", "??=", "1\n2", "", "\x01f7"])
def test_strings_mean_the_same_in_c(text: str, tmp_path: Path) -> None:
    source = tmp_path / "s.c"
    source.write_text(f"#include <stdio.h>\nint main(void) {{ fputs({string(text)}, stdout); }}\n")
    subprocess.run([str(CC), "-std=c11", "-trigraphs", source, "-o", tmp_path / "s"], check=True)
    said = subprocess.run([tmp_path / "s"], capture_output=True, check=True).stdout
    assert said == text.encode()


@pytest.mark.parametrize(
    ("text", "name"), [("net", "net"), ("my net-2", "my_net_2"), ("2x", "_2x"), ("", "_")]
)
def test_identifiers(text: str, name: str) -> None:
    assert identifier(text) == name
