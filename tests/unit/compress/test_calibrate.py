"""Ranges of activations, and what is doubtful or wrong about samples."""

from __future__ import annotations

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit.compress.calibrate import calibrate
from edgekit.errors import InputError
from edgekit.graph.execute import run

SMOOTH = np.add.outer(np.linspace(-1, 1, 16), np.linspace(-1, 1, 16)).astype(np.float32)


def pictures(count: int) -> np.ndarray:
    """Smooth pictures (count, 16, 16, 3)."""
    gains = np.random.default_rng(0).uniform(0.2, 1, (count, 1, 1, 3)).astype(np.float32)
    return SMOOTH[None, :, :, None] * gains


def test_extremes_are_those_of_all_samples() -> None:
    graph, images = convnet(quantized=False), pictures(40)
    ranges = calibrate(graph, [images])
    seen: dict[str, np.ndarray] = {}
    run(graph, [images], seen.__setitem__)
    assert ranges.extremes == {n: (float(v.min()), float(v.max())) for n, v in seen.items()}
    assert ranges.samples == 40
    assert ranges.warnings == ()


def test_batches_do_not_matter() -> None:
    graph, images = convnet(quantized=False), pictures(37)
    whole = calibrate(graph, [images])
    parts = calibrate(graph, (images[i : i + 5] for i in range(0, 37, 5)))
    assert parts.samples == 37
    for name, extremes in whole.extremes.items():
        np.testing.assert_allclose(parts.extremes[name], extremes, rtol=1e-5, atol=1e-6)


def test_progress_counts_samples() -> None:
    seen: list[tuple[str, int, int]] = []
    calibrate(convnet(quantized=False), [pictures(20)], lambda *told: seen.append(told))
    assert [done for _, done, _ in seen] == [16, 20]


@pytest.mark.parametrize("batches", [[], [np.zeros((0, 16, 16, 3), np.float32)]])
def test_no_samples(batches: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="no samples"):
        calibrate(convnet(quantized=False), batches)


def test_samples_of_another_shape() -> None:
    with pytest.raises(InputError, match="shape"):
        calibrate(convnet(quantized=False), [np.zeros((4, 8, 8, 3), np.float32)])


def test_activations_that_are_not_finite_are_named() -> None:
    images = pictures(3)
    images[1, 2, 3, 0] = np.nan
    with pytest.raises(InputError, match="'image' is NaN"):
        calibrate(convnet(quantized=False), [images])
    b = GraphBuilder()
    x = b.input("x", (1, 4))
    b.fully_connected(x, 2, name="huge")
    b.tensors["huge/weights"].data[:] = 1e38  # type: ignore[index]
    with pytest.raises(InputError, match="'huge' is NaN or infinite"), np.errstate(all="ignore"):
        calibrate(b.build(), [np.full((1, 4), 10, np.float32)])


def test_noise_is_noticed() -> None:
    graph = convnet(quantized=False)
    noise = np.random.default_rng(0).normal(size=(20, 16, 16, 3)).astype(np.float32)
    assert any("noise" in sentence for sentence in calibrate(graph, [noise]).warnings)
    grainy = pictures(20) + noise * 0.1
    assert calibrate(graph, [grainy]).warnings == ()


def test_few_and_constant_samples_are_noticed() -> None:
    warnings = calibrate(
        convnet(quantized=False), [np.full((2, 16, 16, 3), 0.5, np.float32)]
    ).warnings
    assert any("Only 2 calibration samples" in sentence for sentence in warnings)
    assert any("single value 0.5" in sentence for sentence in warnings)


def test_activations_that_never_change_are_noticed() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 16, 16, 3))
    y = b.conv(x, 2, (1, 1), name="dead")
    b.tensors["dead/weights"].data[:] = 0  # type: ignore[index]
    b.tensors["dead/bias"].data[:] = 1  # type: ignore[index]
    b.conv(y, 2, (3, 3))
    warnings = calibrate(b.build(), [pictures(20)]).warnings
    assert any("'dead'" in sentence for sentence in warnings)
