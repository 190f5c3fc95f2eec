from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.data.choice import calibration_recipe, shuffled
from edgekit.data.dataset import ArraySplit
from edgekit.errors import UsageError


def _split(per_class: list[int]) -> ArraySplit:
    targets = np.repeat(np.arange(len(per_class)), per_class)
    images = np.arange(len(targets) * 6, dtype=np.uint8).reshape(-1, 2, 3)
    return ArraySplit(images, targets, [f"picture-{i}" for i in range(len(targets))])


@given(st.sets(st.text(max_size=8)), st.integers(0, 9), st.randoms())
def test_shuffled_keeps_every_name_and_forgets_the_order_they_came_in(names, seed, random) -> None:
    mixed = list(names)
    random.shuffle(mixed)
    assert shuffled(mixed, seed) == shuffled(sorted(names), seed)
    assert set(shuffled(mixed, seed)) == names


def test_shuffled_is_pinned_and_follows_the_seed() -> None:
    # Pinned: the committed splits and every user's cut depend on it.
    assert shuffled(["a", "b", "c", "d", "e"], 0) == ["d", "a", "c", "b", "e"]
    assert shuffled(["a", "b", "c", "d", "e"], 1) != shuffled(["a", "b", "c", "d", "e"], 0)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.data())
def test_choice_is_balanced_and_a_smaller_one_is_its_beginning(per_class, data) -> None:
    split = _split(per_class)
    count = data.draw(st.integers(1, len(split)))
    recipe = calibration_recipe(split, count, seed=3)
    assert recipe.count == len(set(recipe.indices.tolist())) == count
    assert np.array_equal(recipe.indices, calibration_recipe(split, seed=3).indices[:count])
    chosen = np.bincount(split.targets[recipe.indices], minlength=len(per_class))
    for label, available in enumerate(per_class):
        # A class falls behind the largest by more than one only when it is used up.
        assert chosen[label] == available or chosen[label] >= chosen.max() - 1


def test_sha256_is_over_the_chosen_bytes() -> None:
    split = _split([2, 2])
    recipe = calibration_recipe(split, 3)
    by_hand = hashlib.sha256(
        b"".join(hashlib.sha256(split.content(int(i))).digest() for i in recipe.indices)
    ).hexdigest()
    assert recipe.sha256 == by_hand
    assert json.loads(json.dumps(recipe.to_json())) == {
        "count": 3,
        "available": 4,
        "seed": 0,
        "sha256": by_hand,
        "samples": [f"picture-{i}" for i in recipe.indices],
    }


def test_another_seed_chooses_others() -> None:
    split = _split([50, 50])
    first, second = (calibration_recipe(split, 20, seed).names for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize(
    ("count", "message"), [(0, "at least one"), (-1, "at least one"), (5, "has 4")]
)
def test_refused_counts(count: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        calibration_recipe(_split([2, 2]), count)
