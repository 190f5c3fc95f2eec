"""A split whose pictures lie on disk: decoded as asked, so a data set may exceed the memory.

Decoding a photograph takes milliseconds, a hundred times what training takes to read it; so what
was decoded is kept at network size, up to a fixed number of bytes, and the rest is decoded again.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from edgekit.data.dataset import Indices
from edgekit.data.pictures import read_bytes, read_picture
from edgekit.preprocessing import Preprocessing

CACHE_BYTES = 512 << 20  # 10,900 pictures of 128x128x3
_THREADS = min(8, os.cpu_count() or 1)  # more only hold more photographs in memory

_Key = tuple[str, tuple[object, ...]]


class PixelCache:
    """The most recently used pictures at network size, within a limit; safe between threads."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._pictures: OrderedDict[_Key, npt.NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: _Key) -> npt.NDArray[np.uint8] | None:
        """The picture kept under a key, or None."""
        with self._lock:
            picture = self._pictures.get(key)
            if picture is not None:
                self._pictures.move_to_end(key)
            return picture

    def put(self, key: _Key, picture: npt.NDArray[np.uint8]) -> None:
        """Keep a picture, dropping the least recently used ones beyond the limit."""
        with self._lock:
            if key not in self._pictures:
                self._held_bytes += picture.nbytes
            self._pictures[key] = picture
            while self._held_bytes > self._limit_bytes:
                _, dropped = self._pictures.popitem(last=False)
                self._held_bytes -= dropped.nbytes

    @property
    def held_bytes(self) -> int:
        """Bytes of the kept pictures."""
        return self._held_bytes


class FolderSplit:
    """Labelled picture files under a folder.

    Args:
        root: the data set's folder.
        names: paths under it, n of them.
        targets: int64 (n,); -1 where unknown.
        cache: shared by the splits of a data set.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        targets: npt.NDArray[np.int64],
        cache: PixelCache,
    ) -> None:
        self._root = root
        self._names = names
        self._targets = targets
        self._cache = cache

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Class of every picture, int64 (n,); -1 where unknown."""
        return self._targets

    def __len__(self) -> int:
        return len(self._names)

    def pixels(self, indices: Indices, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
        """Pictures as the network sees them, uint8 (len(indices), height, width, channels).

        Raises:
            InputError: a picture cannot be decoded, naming it.
        """
        out = np.empty((len(indices), *preprocessing.shape), np.uint8)
        missing: list[tuple[int, _Key]] = []
        for row, index in enumerate(indices):
            key = (self._names[index], _geometry(preprocessing))
            kept = self._cache.get(key)
            if kept is None:
                missing.append((row, key))
            else:
                out[row] = kept

        def decode(entry: tuple[int, _Key]) -> None:
            row, key = entry
            out[row] = preprocessing.pixels(read_picture(self._root / key[0]))
            self._cache.put(key, out[row].copy())

        if missing:
            with ThreadPoolExecutor(min(len(missing), _THREADS)) as pool:
                list(pool.map(decode, missing))  # Pillow decodes outside the interpreter lock
        return out

    def name(self, index: int) -> str:
        """The file's path under the data set's folder."""
        return self._names[index]

    def content(self, index: int) -> bytes:
        """The file's bytes.

        Raises:
            InputError: it cannot be read.
        """
        return read_bytes(self._root / self._names[index])


def _geometry(preprocessing: Preprocessing) -> tuple[object, ...]:
    """The part of the contract that decides uint8 pixels."""
    contract = preprocessing
    return (*contract.shape, contract.color, contract.resize, contract.crop_fraction)
