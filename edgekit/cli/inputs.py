"""What the user wants run: pictures in folders, splits of data sets, or arrays.

Paths and names enter; stacked arrays leave, as `emulate.samples` defines them. Refused: files that
hold no samples, pictures for a model that reads none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import data as datasets
from edgekit.data import Split
from edgekit.data.arrays import read_array
from edgekit.data.folder_split import FolderSplit, PixelCache
from edgekit.data.pictures import FORMATS_HINT, picture_paths
from edgekit.emulate.agreement import Batch
from edgekit.emulate.samples import Values, stacked
from edgekit.errors import InputError, UsageError
from edgekit.graph.ir import DType, Graph
from edgekit.preprocessing import Preprocessing
from edgekit.report.evaluate import network_input

_TOGETHER = 16  # pictures decoded and run at a time
UNKNOWN = -1
_MID_PIXEL = 127.5


def folder_pictures(folder: Path, labels: tuple[str, ...] | None) -> Split:
    """Every picture under a folder; one whose first folder bears a label has that class.

    Raises:
        InputError: no folder, or no picture in it.
    """
    paths, _ = picture_paths(folder)
    if not paths:
        raise InputError(f"There is no picture in {folder}.", hint=FORMATS_HINT)
    names = [path.relative_to(folder) for path in paths]
    classes = {label: index for index, label in enumerate(labels or ())}
    targets = [classes.get(name.parts[0], UNKNOWN) for name in names]
    return FolderSplit(
        folder, [name.as_posix() for name in names], np.array(targets, np.int64), PixelCache()
    )


def evenly(count: int, limit: int | None) -> npt.NDArray[np.int64]:
    """The indices of `limit` of `count` samples at even distances: sets are often sorted."""
    kept = count if limit is None else min(limit, count)
    return np.arange(kept, dtype=np.int64) * count // max(kept, 1)


def picture_batches(
    split: Split, indices: npt.NDArray[np.int64], graph: Graph, contract: Preprocessing
) -> Iterator[Batch]:
    """The pictures as the network reads them, with their classes, a few at a time."""
    for start in range(0, len(indices), _TOGETHER):
        chosen = indices[start : start + _TOGETHER]
        pixels = split.pixels(chosen, contract)
        yield [network_input(graph, contract, pixels)[:, None]], split.targets[chosen]


def reads_picture(graph: Graph) -> bool:
    """Whether the only input looks like a picture: (1, height, width, 1 or 3)."""
    shape = graph.tensors[graph.inputs[0]].shape
    return len(graph.inputs) == 1 and len(shape) == 4 and shape[0] == 1 and shape[3] in (1, 3)


def raw_pictures(
    graph: Graph, data: str | None, count: int, seed: int
) -> tuple[tuple[Values, ...], str]:
    """Test pictures of a data set for a model whose preprocessing nobody knows; what they are.

    An 8-bit input gets every pixel value as one of its 256, a float one (pixel - 127.5) / 127.5.
    """
    dataset = datasets.load(data, seed=seed)
    tensor = graph.tensors[graph.inputs[0]]
    _, height, width, channels = tensor.shape
    contract = Preprocessing(
        height,
        width,
        color="L" if channels == 1 else "RGB",
        resize=dataset.defaults.resize,
        mean=(_MID_PIXEL,) * channels,
        std=(_MID_PIXEL,) * channels,
    )
    split = dataset.splits["test"]
    pixels = split.pixels(evenly(len(split), count), contract)
    values: Values = contract.normalize(pixels)
    if tensor.dtype is not DType.FLOAT32:
        values = (pixels.astype(np.int16) + tensor.dtype.limits[0]).astype(tensor.dtype.numpy)
    return (values[:, None],), f"test pictures of {dataset.name}"


def array_files(paths: Sequence[Path], graph: Graph) -> tuple[Values, ...]:
    """One .npy file a graph input, as stacked arrays.

    Raises:
        UsageError: not as many files as inputs.
        InputError: a file cannot be read, or holds no samples of its input.
    """
    if len(paths) != len(graph.inputs):
        raise UsageError(
            f"The model has {len(graph.inputs)} inputs, {len(paths)} .npy files were given.",
            hint=f"Give one for each, in this order: {', '.join(graph.inputs)}.",
        )
    named = zip(paths, graph.inputs, strict=True)
    arrays = tuple(stacked(read_array(path), graph.tensors[name]) for path, name in named)
    counts = sorted({len(array) for array in arrays})
    if len(counts) > 1:
        raise InputError(f"The files hold different numbers of samples: {counts}.")
    return arrays
