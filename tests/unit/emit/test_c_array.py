import ast
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from edgekit.emit.c_array import hex_bytes, numbers

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
    start = time.process_time()
    hex_bytes(bytes(4 << 20))
    assert time.process_time() - start < 2


def test_integers_are_wrapped() -> None:
    values = np.arange(-128, 128, dtype=np.int8)
    text = numbers(values)
    assert ast.literal_eval(f"[{text}]") == values.tolist()
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.skipif(CC is None, reason="no C compiler (cc)")
def test_floats_mean_the_same_bits_in_c(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**32, 3000, np.uint32).view(np.float32)
    odd = np.float32([0, -0.0, 1, -2, 1e10, 1e-45, 3.4028235e38, np.inf, -np.inf, 0.1])
    values = np.concatenate([bits[~np.isnan(bits)], odd])
    source = tmp_path / "f.c"
    source.write_text(
        "#include <math.h>\n#include <stdio.h>\n"
        f"static const float values[] = {{\n{numbers(values)}}};\n"
        "int main(void) { return fwrite(values, sizeof values, 1, stdout) != 1; }\n"
    )
    subprocess.run([str(CC), "-std=c11", "-Werror", source, "-o", tmp_path / "f"], check=True)
    said = subprocess.run([tmp_path / "f"], capture_output=True, check=True).stdout
    assert said == values.tobytes()
    assert numbers(np.float32([np.nan])) == "  NAN,\n"


def test_truth_values_are_numbers() -> None:
    assert numbers(np.array([True, False])) == "  1, 0,\n"
