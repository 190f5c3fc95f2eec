"""How torch computes while integers must come out exactly, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """So many threads; no convolutions by transforms, which round where direct sums are exact."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        torch.set_num_threads(before)
