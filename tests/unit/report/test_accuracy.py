"""Accuracy figures against values worked out by hand and by their definitions."""

import math

import numpy as np
import pytest

from edgekit.report.accuracy import compare, sqnr_db, wilson_interval

LABELS = ("cat", "dog")
TARGETS = np.array([0, 0, 1, 1], np.int64)
FLOAT = np.array([[2, 1], [2, 1], [0, 3], [0, 3]], np.float32)  # all four right
INT8 = np.array([[2, 1], [1, 2], [0, 3], [0, 3]], np.float32)  # the second image flips


def test_compares_float_and_int8_image_by_image() -> None:
    accuracy = compare("test", TARGETS, LABELS, FLOAT, INT8, INT8)
    assert (accuracy.float_top1, accuracy.int8_top1) == (100.0, 75.0)
    assert (accuracy.drop, accuracy.agreement) == (25.0, 75.0)
    assert accuracy.confusion == ((1, 1), (0, 2))
    assert [(row.label, row.images, row.int8_top1) for row in accuracy.per_class] == [
        ("cat", 2, 50.0),
        ("dog", 2, 100.0),
    ]


def test_the_outputs_decide_the_class_not_the_logits() -> None:
    accuracy = compare("test", TARGETS, LABELS, FLOAT, FLOAT, FLOAT[::-1])
    assert accuracy.int8_top1 == 0.0
    assert accuracy.sqnr_db == math.inf


def test_wilson_interval_matches_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263 without continuity correction: 0.2553 to 0.3662.
    low, high = wilson_interval(81, 263)
    assert (round(low, 2), round(high, 2)) == (25.53, 36.62)
    assert wilson_interval(0, 0) == (0.0, 100.0)


@pytest.mark.parametrize(("noise", "expected"), [(0.1, 20.0), (0.01, 40.0)])
def test_sqnr_is_the_power_ratio_in_decibels(noise: float, expected: float) -> None:
    signal = np.ones((3, 4), np.float32)
    assert sqnr_db(signal, signal * np.float32(1 - noise)) == pytest.approx(expected, abs=1e-3)
