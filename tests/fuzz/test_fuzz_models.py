"""Damaged and changed model files are refused, or everything after reading them works.

`python -m fuzz.campaign tflite 100000` in `tests/` runs as many mutants as one likes.
"""

import contextlib
import json
import tracemalloc

import pytest
from fuzz.campaign import mutant, run

from edgekit.convert import tflite_reader
from edgekit.errors import EdgekitError

# What one small file may take while it is read, computed and quantized.
MOST_BYTES = 300 << 20


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_few_mutants(kind: str) -> None:
    survive(kind, 500)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_more_mutants(kind: str) -> None:
    survive(kind, 5000, first=500)


def survive(kind: str, count: int, first: int = 0) -> None:
    counts = run(kind, count, first=first)
    assert not counts.failures, json.dumps(counts.failures, indent=1)
    assert counts.mutants == count
    assert counts.accepted > count // 10 and counts.refused > count // 10, "both ways are taken"
    assert counts.peak_bytes < MOST_BYTES


def test_reading_takes_a_few_times_the_memory_of_the_file() -> None:
    mutant("tflite", 0, 0)
    tracemalloc.start()
    try:
        for number in range(200):
            data, _ = mutant("tflite", 1, number)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with contextlib.suppress(EdgekitError):
                tflite_reader.read(data)
            assert tracemalloc.get_traced_memory()[1] - before < 8 * len(data) + 500_000
    finally:
        tracemalloc.stop()
