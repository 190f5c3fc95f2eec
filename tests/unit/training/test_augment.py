import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.training.augment import augment, draw
from edgekit.training.recipe import Recipe

PLAIN = Recipe(flip=False, shift=0.0, erase=0.0)


def augmented(images: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    return augment(images, draw(len(images), images.shape[1:3], recipe, rng))


def images(count: int = 64, height: int = 8, width: int = 10) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), np.uint8)


def test_nothing_asked_for_changes_nothing() -> None:
    before = images()
    after = augmented(before, PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(after, before)
    assert not np.shares_memory(after, before)


def test_about_half_are_mirrored() -> None:
    before = images(200)
    after = augmented(before, Recipe(flip=True, shift=0.0), np.random.default_rng(0))
    same = (after == before).all((1, 2, 3))
    mirrored = (after == before[:, :, ::-1]).all((1, 2, 3))
    assert (same | mirrored).all()
    assert 70 < mirrored.sum() < 130


@given(shift=st.floats(0, 0.5), seed=st.integers(0, 1000))
def test_a_shift_shows_the_picture_behind_a_moved_window(shift: float, seed: int) -> None:
    before = images(4)
    _, height, width, _ = before.shape
    after = augmented(before, Recipe(flip=False, shift=shift), np.random.default_rng(seed))
    down, right = round(shift * height), round(shift * width)
    for one, other in zip(before, after, strict=True):
        padded = np.pad(one, ((down, down), (right, right), (0, 0)), mode="edge")
        windows = (
            padded[y : y + height, x : x + width]
            for y in range(2 * down + 1)
            for x in range(2 * right + 1)
        )
        assert any(np.array_equal(window, other) for window in windows)


def test_erasing_greys_out_one_square_in_half_of_the_images() -> None:
    before = images(200, 16, 16)
    after = augmented(before, Recipe(flip=False, shift=0.0, erase=0.25), np.random.default_rng(0))
    changed = (after != before).any(-1)
    assert 70 < changed.any((1, 2)).sum() < 130
    assert changed.sum((1, 2)).max() <= 16
    assert (after[changed] == 128).all()


def test_strength_multiplies_shift_and_erase() -> None:
    def drawn(recipe: Recipe, strength: float) -> tuple[int, tuple[int, int]]:
        changes = draw(200, (16, 16), recipe, np.random.default_rng(0), strength)
        return int(np.abs(changes.shifts).max()), changes.square

    assert drawn(Recipe(shift=0.25, erase=0.5), 0.5) == drawn(Recipe(shift=0.125, erase=0.25), 1.0)
    assert drawn(Recipe(shift=0.25, erase=0.5), 0.0) == (0, (0, 0))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_generator_decides_everything(seed: int) -> None:
    recipe = Recipe(erase=0.3, shift=0.2)
    one = augmented(images(), recipe, np.random.default_rng(seed))
    np.testing.assert_array_equal(one, augmented(images(), recipe, np.random.default_rng(seed)))
    assert not np.array_equal(one, augmented(images(), recipe, np.random.default_rng(seed + 1)))


def test_a_larger_picture_is_changed_alike() -> None:
    recipe = Recipe(shift=0.25, erase=0.5)
    small = images(16, 8, 8)
    large = small.repeat(4, 1).repeat(4, 2)
    changes = draw(16, (8, 8), recipe, np.random.default_rng(0))
    assert len(changes.erased) and changes.mirrored.any() and changes.shifts.any()
    one, other = augment(small, changes), augment(large, changes.at(32, 32))
    np.testing.assert_array_equal(one.repeat(4, 1).repeat(4, 2), other)
    assert changes.at(8, 8) is changes
