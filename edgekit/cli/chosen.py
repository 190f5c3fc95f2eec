"""The samples that `edgekit emulate` runs: golden vectors, arrays, pictures or a split.

An opened bundle and what the user names enter; a `Chosen` leaves. Refused: pictures for a model
that reads none, data sets with other classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit import data
from edgekit.cli.deployed import Deployed
from edgekit.cli.inputs import UNKNOWN, array_files, evenly, folder_pictures, picture_batches
from edgekit.data import Split, SplitName
from edgekit.emulate.agreement import Batch
from edgekit.emulate.samples import Values
from edgekit.errors import UsageError

_TOGETHER = 64  # arrays run at a time
_LAYER_SAMPLES = 16  # on which the layers are compared; the outputs are on all


@dataclass(frozen=True)
class Chosen:
    """The samples to run.

    Attributes:
        described: what they are.
        count: how many.
        first: stacked arrays of the first ones, to compare layers on.
        batches: gives all of them, pictures with their classes.
    """

    described: str
    count: int
    first: tuple[Values, ...]
    batches: Callable[[], Iterable[Batch]]


def of_folder(deployed: Deployed, folder: Path, limit: int | None) -> Chosen:
    """The pictures under a folder; those in a folder named as a class have that class.

    Raises:
        InputError: no picture there, or one that cannot be decoded.
        UsageError: the model reads no pictures.
    """
    return _pictures(deployed, folder_pictures(folder, deployed.labels), limit, f"of {folder}")


def of_split(deployed: Deployed, name: SplitName, source: str | None, limit: int | None) -> Chosen:
    """A split of the bundle's own data set, or of one that has the same classes.

    Raises:
        UsageError: it is not said where the data set is, or it has other classes.
        InputError, MissingToolError: see `data.load`.
    """
    provenance = deployed.bundle.provenance
    own = provenance.get("data") or {}
    if source is None and own.get("source") == "folder":
        raise UsageError(
            f"The bundle was made with the pictures of a folder, '{own.get('name')}'.",
            hint="Say where it is: --data FOLDER.",
        )
    if source is None and not own:
        raise UsageError("The bundle names no data set.", hint="Give one: --data FOLDER.")
    known = "fashion_mnist" if own.get("name") == "fashion_mnist" else None
    seed = provenance.get("seed")
    dataset = data.load(source or known, seed=seed if isinstance(seed, int) else 0)
    if deployed.labels is not None and dataset.labels != deployed.labels:
        raise UsageError(
            f"The classes of {dataset.name} are not the bundle's.",
            hint=f"The bundle's: {', '.join(deployed.labels)}.",
        )
    return _pictures(deployed, dataset.splits[name], limit, f"of {dataset.name}, {name} split")


def _pictures(deployed: Deployed, split: Split, limit: int | None, where: str) -> Chosen:
    contract = deployed.preprocessing
    if contract is None:
        raise UsageError(
            "The model of this bundle reads no pictures.",
            hint="Give its inputs as arrays: --samples X.npy.",
        )
    indices = evenly(len(split), limit)
    (first, _) = next(picture_batches(split, indices[:_LAYER_SAMPLES], deployed.graph, contract))
    return Chosen(
        f"pictures {where}",
        len(indices),
        tuple(first),
        lambda: picture_batches(split, indices, deployed.graph, contract),
    )


def of_arrays(deployed: Deployed, files: tuple[Path, ...], limit: int | None) -> Chosen:
    """Samples in .npy files, one a model input; the golden vectors if there are no files.

    Raises:
        UsageError: not as many files as inputs.
        InputError: a file holds no samples of its input.
    """
    arrays = array_files(files, deployed.graph) if files else deployed.golden().inputs
    indices = evenly(len(arrays[0]), limit)
    parts = [indices[i : i + _TOGETHER] for i in range(0, len(indices), _TOGETHER)]
    return Chosen(
        f"samples of {files[0].name}" if files else "golden vectors",
        len(indices),
        tuple(array[indices[:_LAYER_SAMPLES]] for array in arrays),
        lambda: (
            (tuple(array[part] for array in arrays), np.full(len(part), UNKNOWN, np.int64))
            for part in parts
        ),
    )
