"""Damaged and hostile files are refused, or everything after reading them works.

In `tests/`, `python -m fuzz.campaign tflite 100000` tries as many mutants as one likes.
"""

import contextlib
import json
import tracemalloc

import pytest
from fuzz.campaign import mutant, run

from edgekit.convert import tflite_reader
from edgekit.errors import EdgekitError

# Kind -> how many mutants are tried always, and how many in the slow test.
COUNTS = {
    "tflite": (500, 5000),
    "onnx": (500, 5000),
    "picture": (400, 5000),
    "preprocessing": (400, 5000),
    "board": (400, 5000),
    "checkpoint": (0, 2000),
}
# What one small file may take while it is read, computed and quantized.
MOST_BYTES = 300 << 20


@pytest.mark.parametrize("kind", [kind for kind, (few, _) in COUNTS.items() if few])
def test_a_few_mutants(kind: str) -> None:
    survive(kind, 0, COUNTS[kind][0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", COUNTS)
def test_more_mutants(kind: str) -> None:
    if kind == "checkpoint":
        pytest.importorskip("torch", reason="needs edgekit[train]")
    survive(kind, *COUNTS[kind])


def survive(kind: str, first: int, count: int) -> None:
    counts = run(kind, count, first=first)
    assert not counts.failures, json.dumps(counts.failures, indent=1)
    assert counts.mutants == count
    assert min(counts.accepted, counts.refused) > count // 20, "both ways are taken"
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
