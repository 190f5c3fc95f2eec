"""From an architecture to a checkpoint: what `edgekit train` does, without a bundle.

A `TrainRequest` enters; a `.safetensors` file of weights leaves, which says in its metadata what it
holds, and a `Saved` that tells how good it is. Where several processes train together, each comes
here with the same request; the first one alone writes and speaks. Refused: a file in the way that
edgekit did not write.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import data, extras
from edgekit.data import Dataset
from edgekit.errors import OutputError
from edgekit.models.cost import cost
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.stages.entry import contract_of, network_name, resolve
from edgekit.stages.lesson import lesson
from edgekit.stages.material import Material
from edgekit.stages.request import TrainRequest
from edgekit.stages.weights import Weighted, weights

if TYPE_CHECKING:
    from edgekit.training.world import World

_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Saved:
    """The outcome: the file, and what stands in it, as plain values."""

    path: Path
    report: dict[str, Any]


def train(request: TrainRequest, progress: Progress = silent) -> Saved | None:
    """Train, and write a checkpoint.

    Returns:
        None in all processes but the first.

    Raises:
        EdgekitError: see `stages.weights.weights` and `training.distributed.join`.
        OutputError: the file cannot be written, or one that edgekit did not write is in its place.
    """
    extras.require("train")
    from edgekit.training.distributed import first_speaks, join

    dataset = data.load(request.data, seed=request.seed, progress=progress)
    material = Material(dataset, None, dataset.labels, None, {}, dataset.notes)
    spec = resolve(request, material)
    assert spec is not None  # the command line demands an architecture
    contract = contract_of(request, spec, material)
    path = request.output or Path("build") / f"{network_name(request, spec)}{_SUFFIX}"
    _check_place(path)
    with first_speaks(join(request.distribution)) as world:
        heard = progress if world.rank == 0 else silent
        return _train(request, spec, dataset, contract, path, world, heard)


def _train(
    request: TrainRequest,
    spec: ModelSpec,
    dataset: Dataset,
    contract: Preprocessing,
    path: Path,
    world: World,
    progress: Progress,
) -> Saved | None:
    """Every process's part, from the moment there are several."""
    from edgekit.training.evaluate import evaluate

    notices = list(dataset.notes)
    taught = lesson(request, dataset, contract, progress, world.size)
    trained = weights(request, spec, dataset, contract, taught, progress, notices.append, world)
    test = evaluate(
        trained.module, dataset.splits["test"], contract, threads=request.threads, world=world
    )
    if world.rank:
        return None
    description = _description(spec, dataset, contract, trained)
    description["test"] = asdict(test)
    _write(path, trained, description)
    return Saved(path, {"checkpoint": str(path), **description, "warnings": notices})


def _description(
    spec: ModelSpec, dataset: Dataset, contract: Preprocessing, trained: Weighted
) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    whole = cost(spec)
    return {
        "model": {**spec.to_json(), "params": whole.params, "macs": whole.macs},
        "pruned": trained.pruned,
        "labels": list(dataset.labels),
        "preprocessing": contract.to_json(),
        "weights": trained.origin,
        "data": dict(dataset.provenance),
    }


def _check_place(path: Path) -> None:
    """Refuse to write over what edgekit did not write."""
    from edgekit.training.checkpoint import described

    if path.suffix != _SUFFIX:
        raise OutputError(f"{path} does not end in {_SUFFIX}.", hint=f"Give -o NAME{_SUFFIX}.")
    if path.exists() and not described(path):
        raise OutputError(
            f"{path} is there, and edgekit did not write it.", hint="Name another file with -o."
        )


def _write(path: Path, trained: Weighted, description: dict[str, Any]) -> None:
    from edgekit.training.checkpoint import with_description, write

    state = {key: value.contiguous() for key, value in trained.module.state_dict().items()}
    write(path, with_description(state, description), hint="Name another place with -o.")
