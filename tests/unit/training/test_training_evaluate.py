import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from training_cases import PREPROCESSING, dataset, network

from edgekit.errors import InputError
from edgekit.training.evaluate import evaluate, recalibrate, score
from edgekit.training.images import Images
from edgekit.training.threads import Team


def test_score_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]], np.float32))
    result = score(logits, np.array([0, 1]))
    assert (result.images, result.top1) == (2, 50)
    assert result.loss == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2)


@pytest.mark.parametrize("threads", [1, 3])
def test_evaluation_equals_a_plain_forward_pass(threads: int) -> None:
    split = dataset(150).splits["train"]
    module = network()
    result = evaluate(module, split, PREPROCESSING, threads=threads)
    assert module.training
    images = PREPROCESSING.normalize(split.pixels(np.arange(150), PREPROCESSING))
    with torch.no_grad():
        logits = module.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    assert result.images == 150
    assert result.top1 == 100 * (logits.argmax(1) == split.targets).mean()
    assert result.loss == pytest.approx(score(logits, split.targets).loss, rel=1e-5)


def test_no_images_are_refused() -> None:
    with pytest.raises(InputError, match="no images"):
        evaluate(network(), dataset(0).splits["train"], PREPROCESSING)


@pytest.mark.parametrize("shards", [1, 2])
def test_recalibrated_statistics_are_those_of_the_images(shards: int) -> None:
    images = Images(dataset(128).splits["train"], PREPROCESSING)
    module, plain = network(), network()
    replicas = [module, *(network() for _ in range(shards - 1))]
    with Team(2, shards) as team:
        recalibrate(replicas, images, np.array_split(np.arange(128), shards), team)
    with torch.no_grad():
        first = plain[0](images.inputs(np.arange(128)))
    torch.testing.assert_close(module[1].running_mean, first.mean((0, 2, 3)))
    chunks = torch.stack([part.var((0, 2, 3)) for part in first.split(64)])
    torch.testing.assert_close(module[1].running_var, chunks.mean(0))
