"""The kinds of files that are fuzzed: a random generator in, a damaged file and its reader out.

Each function gives the file's bytes, and a call that reads it and does what follows; the call
returns whether the file was accepted, and raises what no file may cause.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from fuzz import corpus, files, mutate_bytes, survive

Mutant = tuple[bytes, Callable[[], bool]]


def tflite(rng: random.Random) -> Mutant:
    """Small models with changes of meaning, damages or both; now and then a real model, damaged."""
    from fuzz import mutate_tflite

    if corpus.real_tflite() and rng.random() < 0.03:
        data = mutate_bytes.mutate(rng.choice(corpus.real_tflite()), rng)
    else:
        data = rng.choice(corpus.tflite())
        if rng.random() < 0.7:
            data = mutate_tflite.mutate(data, rng, rng.choice(corpus.tflite()))
        if rng.random() < 0.4:
            data = mutate_bytes.mutate(data, rng)
    opaque = rng.random() < 0.5
    return data, lambda: survive.tflite(data, opaque=opaque)


def onnx(rng: random.Random) -> Mutant:
    """Small models with changes of meaning, damages or both."""
    from fuzz import mutate_onnx

    data = rng.choice(corpus.onnx())
    if rng.random() < 0.85:
        data = mutate_onnx.mutate(data, rng)
    if rng.random() < 0.2:
        data = mutate_bytes.mutate(data, rng)
    return data, lambda: survive.onnx(data)


KINDS: Mapping[str, Callable[[random.Random], Mutant]] = {
    "tflite": tflite,
    "onnx": onnx,
    "picture": files.picture,
    "checkpoint": files.checkpoint,
    "preprocessing": files.preprocessing,
    "board": files.board,
    "bundle": files.bundle,
}
