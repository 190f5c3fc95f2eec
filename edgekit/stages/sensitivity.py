"""Which layers of a trained network can lose channels.

A `TrainRequest` enters; plain values leave: the accuracy on validation images without a share of
each layer's channels. The network is trained, or loaded, as `edgekit train` would.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgekit import data, extras
from edgekit.compress.pruning.rule import Criterion
from edgekit.errors import InputError
from edgekit.progress import Progress, silent
from edgekit.stages.entry import contract_of, network_name, resolve
from edgekit.stages.lesson import lesson
from edgekit.stages.material import Material
from edgekit.stages.pruning import ranking_pictures
from edgekit.stages.request import TrainRequest
from edgekit.stages.weights import weights

_MOST_IMAGES = 1000  # of the validation split: each network is judged on them


def sensitivity(
    request: TrainRequest, criterion: Criterion = "magnitude", progress: Progress = silent
) -> dict[str, Any]:
    """Judge the network without parts of each of its layers.

    Raises:
        InputError: there are no validation images.
        EdgekitError: see `stages.weights.weights` and `compress.pruning.sensitivity`.
    """
    extras.require("train")
    from edgekit.compress.pruning.sensitivity import SHARES
    from edgekit.compress.pruning.sensitivity import sensitivity as judged
    from edgekit.training.evaluate import top1_of
    from edgekit.training.images import Images

    dataset = data.load(request.data, seed=request.seed, progress=progress)
    material = Material(dataset, None, dataset.labels, None, {}, dataset.notes)
    spec = resolve(request, material)
    assert spec is not None  # the command line demands an architecture
    contract = contract_of(request, spec, material)
    notices = list(dataset.notes)
    taught = lesson(request, dataset, contract, progress)
    trained = weights(request, spec, dataset, contract, taught, progress, notices.append)
    split = dataset.splits["validation"]
    if len(split) == 0:
        raise InputError("There are no validation images to judge with.")
    chosen = np.sort(np.random.default_rng(request.seed).permutation(len(split))[:_MOST_IMAGES])
    judge = top1_of(Images(split, contract), chosen, threads=request.threads)
    found = judged(
        trained.module,
        spec.input_shape,
        judge,
        criterion=criterion,
        batches=list(ranking_pictures(dataset, contract, request.seed))
        if criterion == "taylor"
        else None,
        progress=progress,
    )
    whole = judge(trained.module)
    error = math.sqrt(whole * (100 - whole) / len(chosen))
    return {
        "network": network_name(request, spec),
        "criterion": criterion,
        "images": len(chosen),
        "split": "validation",
        "whole": whole,
        "standard_error": round(error, 3),
        "shares": list(SHARES),
        "layers": [
            {
                "layers": list(one.layers),
                "channels": one.channels,
                "top1": list(one.accuracy),
                "parameters": list(one.parameters),
            }
            for one in found
        ],
        "warnings": notices,
    }
