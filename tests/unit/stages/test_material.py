"""What a build calibrates with, from what the user named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import UsageError
from edgekit.progress import silent
from edgekit.stages.material import gather
from edgekit.stages.request import Request

PICTURES = 20  # of each of two classes; a tenth calibrates


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for number in range(PICTURES):
            pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def calibration_images(data: str | None, count: int | None) -> int:
    request = Request(target="tflm", arch="mobilenet_v1", data=data, calibration_images=count)
    recipe = gather(request, silent).calibration
    assert recipe is not None
    return recipe.count


@pytest.mark.parametrize("points", [float("nan"), float("inf")])
def test_a_gate_is_a_number(points: float) -> None:
    with pytest.raises(UsageError, match="--max-drop"):
        Request(target="tflm", arch="mobilenet_v1", max_drop=points)


def test_a_small_folder_calibrates_with_all_it_has(photos: Path) -> None:
    assert calibration_images(str(photos), None) == 4


def test_a_large_set_calibrates_with_the_usual_number() -> None:
    assert calibration_images(None, None) == 200


def test_a_number_that_was_asked_for_is_kept_or_refused(photos: Path) -> None:
    assert calibration_images(str(photos), 1) == 1
    with pytest.raises(UsageError, match="the split has 4"):
        calibration_images(str(photos), 5)
