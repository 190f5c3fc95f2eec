"""What a network is calibrated and measured with: labelled pictures, plain arrays, or nothing.

A request enters; a `Material` leaves, which hands out batches in the form a graph reads. Refused:
arrays that are not a .npy file of samples, label files that are empty or not text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.data import CalibrationRecipe, Dataset, Split
from edgekit.data.arrays import read_array
from edgekit.errors import InputError, UsageError
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.request import Request

Samples = npt.NDArray[np.float32]
# Pictures decoded at a time: as many as fit the bytes, in float32.
_MOST_TOGETHER, _BYTES_TOGETHER = 32, 64 << 20
_USUAL_CALIBRATION = 200  # pictures that set the ranges if the user names no number
_HELD_OUT_EVERY = 4  # of the arrays, when accuracy repairs are to be judged


@dataclass(frozen=True, eq=False)
class Material:
    """Data for calibration and measurement; at most one of `dataset` and `arrays` is there.

    Attributes:
        dataset: labelled pictures.
        arrays: float32 samples (n, ...), for networks that read no pictures.
        labels: class names: the data set's, or those of a file.
        calibration: which pictures calibrate; None without a data set.
        provenance: plain values for the manifest.
        notes: sentences for the user.
        held: arrays kept out of calibration, to judge accuracy repairs with; None without these.
    """

    dataset: Dataset | None
    arrays: Samples | None
    labels: tuple[str, ...] | None
    calibration: CalibrationRecipe | None
    provenance: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    held: Samples | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to calibrate with."""
        return self.dataset is None and self.arrays is None

    def batches(self, contract: Preprocessing | None, progress: Progress) -> Iterator[Samples]:
        """The calibration samples in float32, a few at a time.

        Args:
            contract: how pictures become numbers; not used for arrays.
            progress: told the samples handed out.
        """
        if self.dataset is None or self.calibration is None or contract is None:
            if self.arrays is not None:
                yield self.arrays
            return
        split, recipe = self.dataset.splits["calibration"], self.calibration
        step = _together(contract)
        for start in range(0, recipe.count, step):
            chosen = recipe.indices[start : start + step]
            yield contract.normalize(split.pixels(chosen, contract))
            progress("calibrate", min(start + step, recipe.count), recipe.count)


def gather(request: Request, progress: Progress) -> Material:
    """Open what the request names; an architecture without `--data` takes the embedded set.

    Raises:
        InputError, UsageError, MissingToolError: see `data.load`, and the module's docstring.
    """
    labels = _labels(request.labels) if request.labels else None
    if request.samples is not None:
        arrays = _arrays(request.samples)
        digest = hashlib.sha256(np.ascontiguousarray(arrays).tobytes()).hexdigest()
        origin = {"samples": request.samples.name, "count": len(arrays), "sha256": digest}
        if request.repair is None:
            return Material(None, arrays, labels, None, origin)
        used, held = _held_out(arrays)
        return Material(None, used, labels, None, {**origin, "held_out": len(held)}, held=held)
    if request.data is None and request.model is not None:
        if request.calib_dir is not None:
            raise UsageError(
                "--calib-dir takes the place of the calibration pictures of --data.",
                hint="Give --data FOLDER too: a --model is measured on its other pictures.",
            )
        return Material(None, None, labels, None, {})
    dataset = data.load(request.data, seed=request.seed, progress=progress)
    if request.calib_dir is not None:
        calibration = data.unlabelled(request.calib_dir)
        dataset = replace(dataset, splits={**dataset.splits, "calibration": calibration})
    if labels is not None and len(labels) != len(dataset.labels):
        raise UsageError(
            f"{request.labels} names {len(labels)} classes, {dataset.name} has "
            f"{len(dataset.labels)}."
        )
    recipe = _calibration(dataset.splits["calibration"], request)
    origin = {"data": dict(dataset.provenance), "calibration": recipe.to_json()}
    return Material(dataset, None, labels or dataset.labels, recipe, origin, dataset.notes)


def _calibration(split: Split, request: Request) -> CalibrationRecipe:
    """As many pictures as the user names, all of which must be there, or the usual number."""
    count = request.calibration_images
    if count is None:
        count = min(_USUAL_CALIBRATION, len(split))
    return data.calibration_recipe(split, count, request.seed)


def _together(contract: Preprocessing) -> int:
    picture_bytes = 4 * contract.height * contract.width * contract.channels
    return max(1, min(_MOST_TOGETHER, _BYTES_TOGETHER // picture_bytes))


def _held_out(arrays: Samples) -> tuple[Samples, Samples]:
    """Arrays to calibrate with, and every fourth, to judge with."""
    if len(arrays) < _HELD_OUT_EVERY:
        raise UsageError(
            f"--repair holds samples out to judge its rungs with; {len(arrays)} are too few.",
            hint=f"Give at least {_HELD_OUT_EVERY}, better 100 or more.",
        )
    is_held = np.arange(len(arrays)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    return arrays[~is_held], arrays[is_held]


def _labels(path: Path) -> tuple[str, ...]:
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The labels {path} cannot be read: {error}.") from error
    found = tuple(name for name in names if name)
    if not found:
        raise InputError(f"{path} names no classes.", hint="Write one name a line.")
    return found


def _arrays(path: Path) -> Samples:
    arrays = read_array(path)
    if arrays.ndim < 2 or len(arrays) == 0:
        raise InputError(f"{path} holds no samples: it must be an array (n, ...) with n >= 1.")
    if not np.isfinite(arrays).all():
        raise InputError(f"The samples in {path} must be finite numbers.")
    return arrays.astype(np.float32)
