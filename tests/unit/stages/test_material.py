"""What a build calibrates with, from what the user named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import InputError, UsageError
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


def test_another_folder_calibrates(photos: Path) -> None:
    request = Request(
        target="tflm", arch="mobilenet_v1", data=str(photos), calib_dir=photos / "cat"
    )
    material = gather(request, silent)
    assert material.calibration is not None and material.calibration.count == PICTURES


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_calibration_folder_without_pictures(photos: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    request = Request(
        target="tflm", arch="mobilenet_v1", data=str(photos), calib_dir=tmp_path / folder
    )
    with pytest.raises(InputError, match=folder):
        gather(request, silent)


def test_repairs_hold_arrays_out(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(20, dtype=np.float32).reshape(10, 2))
    model = {"target": "tflm", "model": tmp_path / "x.onnx", "samples": tmp_path / "x.npy"}
    plain, repaired = (gather(Request(**model, repair=r), silent) for r in (None, "all"))
    assert plain.held is None and plain.arrays is not None and len(plain.arrays) == 10
    assert repaired.held is not None and repaired.arrays is not None
    assert repaired.held[:, 0].tolist() == [6, 14] and len(repaired.arrays) == 8
    np.save(tmp_path / "x.npy", np.zeros((3, 2), np.float32))
    with pytest.raises(UsageError, match="too few"):
        gather(Request(**model, repair="all"), silent)
