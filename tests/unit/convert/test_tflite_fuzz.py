"""Mutated models must give a graph or an EdgekitError, soon, in little memory.

`EDGEKIT_FUZZ=100000 pytest tests/unit/convert/test_tflite_fuzz.py` runs that many mutants.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
import time
import tracemalloc

import pytest
from support.graphs import convnet, single_op_graphs

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.errors import EdgekitError
from edgekit.graph.ops import Opaque

MUTANTS = int(os.environ.get("EDGEKIT_FUZZ", "3000"))
BATCHES = 10
# Generous: a mutant takes a millisecond; the machine may be busy.
SECONDS_PER_MUTANT = 2.0
SEVERE = (0, 1, 3, 4, 127, 128, 255, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FC00000)


@pytest.fixture(scope="module")
def seeds() -> list[bytes]:
    graphs = [convnet(True), convnet(False)]
    for quantized in (True, False):
        graphs += single_op_graphs(quantized).values()
    return [write(graph) for graph in graphs]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four damages of random kinds."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        kind, at = rng.randrange(7), rng.randrange(max(1, len(out) - 8))
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind == 2:
            struct.pack_into("<I", out, at & ~3, rng.choice(SEVERE))
        elif kind == 3:  # an offset that is nearly right
            (value,) = struct.unpack_from("<I", out, at & ~3)
            struct.pack_into("<I", out, at & ~3, (value + rng.randint(-64, 64)) & 0xFFFFFFFF)
        elif kind == 4:
            del out[at : at + rng.randrange(1, 64)]
        elif kind == 5:
            source = rng.randrange(max(1, len(out) - 8))
            size = rng.randrange(1, 64)
            out[at : at + size] = out[source : source + size]
        elif rng.randrange(8) == 0:
            del out[at:]
        if len(out) < 16:
            break
    return bytes(out)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutants_are_read_or_refused(seeds: list[bytes], batch: int) -> None:
    rng = random.Random(batch)
    accepted = 0
    for number in range(MUTANTS // BATCHES):
        data = mutate(rng.choice(seeds), rng)
        start = time.process_time()
        try:
            graph = read(data, allow_opaque=number % 2 == 0)
        except EdgekitError as error:
            assert len(str(error)) < 2 * len(data) + 1000
        else:
            accepted += 1
            if not any(isinstance(node.op, Opaque) for node in graph.nodes):
                again = write(graph)
                assert write(read(again)) == again
        assert time.process_time() - start < SECONDS_PER_MUTANT
    assert 0 < accepted < MUTANTS // BATCHES  # both ways are exercised


def test_memory_stays_within_a_few_times_the_file(seeds: list[bytes]) -> None:
    rng = random.Random(7)
    tracemalloc.start()
    try:
        for _ in range(200):
            data = mutate(rng.choice(seeds), rng)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with contextlib.suppress(EdgekitError):
                read(data)
            peak = tracemalloc.get_traced_memory()[1] - before
            assert peak < 8 * len(data) + 500_000
    finally:
        tracemalloc.stop()
