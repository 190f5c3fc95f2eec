"""A split whose pictures lie on disk: decoded as asked, so a data set may exceed the memory.

Decoding a photograph takes milliseconds, a hundred times what training takes to read it; so what
was decoded is kept at network size, up to a fixed number of bytes, and the rest is decoded again.
Who knows which pictures come next can have them decoded meanwhile.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
_Pixels = npt.NDArray[np.uint8]


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
        # Threads start with the first picture. Pillow decodes outside the interpreter lock.
        self._pool = ThreadPoolExecutor(_THREADS, "edgekit-decoding")
        self._ahead: dict[_Key, Future[_Pixels]] = {}
        self._lock = Lock()

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
        wanted = [(self._names[index], _geometry(preprocessing)) for index in indices]
        coming: dict[_Key, Future[_Pixels]] = {}
        for key in dict.fromkeys(wanted):
            begun = self._take(key)
            if begun is None and self._cache.get(key) is None:
                begun = self._pool.submit(self._decode, key, preprocessing)
            if begun is not None:
                coming[key] = begun
        for row, key in enumerate(wanted):
            kept = coming[key].result() if key in coming else self._cache.get(key)
            out[row] = self._decode(key, preprocessing) if kept is None else kept
        return out

    def prefetch(self, indices: Indices, preprocessing: Preprocessing) -> None:
        """Begin to decode the pictures that `pixels` will be asked for next.

        They are held until they are asked for, so ask for all of them. A picture that cannot be
        decoded is told by `pixels`.
        """
        for index in indices:
            key = (self._names[index], _geometry(preprocessing))
            if self._cache.get(key) is None:
                with self._lock:
                    if key not in self._ahead:
                        self._ahead[key] = self._pool.submit(self._decode, key, preprocessing)

    def _take(self, key: _Key) -> Future[_Pixels] | None:
        """What `prefetch` began, for whoever asks first."""
        with self._lock:
            return self._ahead.pop(key, None)

    def _decode(self, key: _Key, preprocessing: Preprocessing) -> _Pixels:
        pixels = preprocessing.pixels(read_picture(self._root / key[0]))
        self._cache.put(key, pixels)
        return pixels

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
