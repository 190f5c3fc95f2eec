"""A data set and a network small enough to train within a test."""

import numpy as np
import torch
from torch import nn

from edgekit.data import Dataset
from edgekit.data.dataset import ArraySplit
from edgekit.preprocessing import Preprocessing
from edgekit.training.recipe import Recipe, Stage

CLASSES = 4
PREPROCESSING = Preprocessing(32, 32)
QUICK = Recipe(epochs=3, batch=16, stages=(Stage(0.5, 0.5), Stage(1.0, 0.5)))


def dataset(train: int = 70, validation: int = 12, seed: int = 0) -> Dataset:
    """Noisy 8x8 pictures with one bright corner, which is the class."""
    rng = np.random.default_rng(seed)

    def split(count: int) -> ArraySplit:
        targets = np.arange(count, dtype=np.int64) % CLASSES
        images = rng.integers(0, 100, (count, 8, 8), np.uint8)
        for image, target in zip(images, targets, strict=True):
            row, column = divmod(int(target), 2)
            image[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] += 120
        return ArraySplit(images, targets, [str(i) for i in range(count)])

    splits = {
        "train": split(train),
        "validation": split(validation),
        "calibration": split(4),
        "test": split(12),
    }
    labels = tuple("abcd")
    return Dataset("corners", labels, splits, PREPROCESSING, {"name": "corners", "seed": seed})


def network(seed: int = 0) -> nn.Module:
    """Two convolutions with BatchNorm and a classifier; its seed leaves torch's own alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU6(inplace=True),
            nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, CLASSES),
        )


def assert_equal_states(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(value, other[key]), key
