import ast
import shutil
import subprocess
from pathlib import Path

import pytest

from edgekit.emit.text import c_string, plain, python_string, single_line

CC = shutil.which("cc")
TEXTS = [
    'a "b" \\ c',
    "d\u00e9j\u00e0 vu \U0001f600",
    "??= ??/ ???= ????",
    "1\n2\r\t\0\x7f",
    "",
    "\x01f7",
    "*/ // /* <script> `x` | {{ x }} {% x %}",
    "\u202e\u2028\x85",
]


@pytest.mark.skipif(CC is None, reason="no C compiler (cc)")
@pytest.mark.parametrize("text", TEXTS)
def test_c_strings_mean_the_same(text: str, tmp_path: Path) -> None:
    source = tmp_path / "s.c"
    source.write_text(
        f"#include <stdio.h>\nstatic const char s[] = {c_string(text)};\n"
        "int main(void) { fwrite(s, 1, sizeof s - 1, stdout); }\n"
    )
    subprocess.run([str(CC), "-std=c11", "-trigraphs", source, "-o", tmp_path / "s"], check=True)
    said = subprocess.run([tmp_path / "s"], capture_output=True, check=True).stdout
    assert said == text.encode()
    assert c_string(text).isascii() and c_string(text).isprintable()


@pytest.mark.parametrize("text", [*TEXTS, "\ud800"])
def test_python_strings_mean_the_same(text: str) -> None:
    assert ast.literal_eval(python_string(text)) == text
    assert python_string(text).isprintable()


@pytest.mark.parametrize("text", TEXTS)
def test_plain_text_can_stand_anywhere(text: str) -> None:
    assert not set(plain(text)) & set("\"'`*\\<>|{}$?[]\n\r\0\u2028\u202e")


def test_plain_keeps_names_as_people_write_them() -> None:
    name = "MobilenetV1/Conv2d_0 (quant), d\u00e9j\u00e0:0"
    assert plain(name) == name


def test_single_lines_have_no_line_break() -> None:
    assert single_line("a\nb\r\nc\u2028d\x0be") == "a b c d e"
    assert single_line("two  blanks") == "two  blanks"
