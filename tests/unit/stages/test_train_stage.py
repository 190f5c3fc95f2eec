"""`edgekit train` without its command line, on a folder of tiny pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

from PIL import Image

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.models import registry
from edgekit.models.checkpoints import load_weights
from edgekit.models.module import build
from edgekit.stages.request import TrainRequest
from edgekit.stages.train import Saved, train
from edgekit.training.checkpoint import described, preprocessing_in
from edgekit.training.distribution import Distribution


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def request_(tmp_path: Path) -> TrainRequest:
    return wanted(pictures(tmp_path / "photos", "dark", "light"))


def pictures(folder: Path, *labels: str) -> Path:
    rng = np.random.default_rng(0)
    for level, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 100, (16, 16, 3), np.uint8) + np.uint8(50 * level)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def wanted(folder: Path) -> TrainRequest:
    return TrainRequest(
        arch="mobilenet_v1", alpha=0.25, resolution=32, data=str(folder), epochs=1, threads=1
    )


def run(request: TrainRequest) -> Saved:
    saved = train(request)
    assert saved is not None, "the first process"
    return saved


def test_the_checkpoint_says_what_it_holds_and_loads(request_: TrainRequest) -> None:
    saved = run(replace(request_, mean=(100.0,), std=(50.0,)))
    assert saved.path == Path("build/mobilenet_v1_0.25_32.safetensors")
    said = described(saved.path)
    assert said["labels"] == ["dark", "light"]
    assert said["weights"]["recipe"]["epochs"] == 1
    assert said["test"]["images"] == 4
    assert {**said, "checkpoint": str(saved.path), "warnings": []} == saved.report
    spec = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=2)
    assert said["model"]["params"] == sum(p.numel() for p in build(spec).parameters())
    assert not load_weights(build(spec), saved.path).new_classifier
    contract = preprocessing_in(saved.path)
    assert contract is not None and contract.mean == (100.0,) * 3


def test_weights_keep_the_preprocessing_they_were_trained_with(request_: TrainRequest) -> None:
    first = run(replace(request_, mean=(100.0,), output=Path("first.safetensors")))
    second = run(replace(request_, weights=first.path, fine_tune=True))
    assert second.report["preprocessing"]["mean"] == [100.0] * 3
    assert second.report["weights"]["transfer"]["recipe"]["learning_rate"] < 0.1


def test_a_file_that_edgekit_did_not_write_stays(request_: TrainRequest) -> None:
    other = Path("other.safetensors")
    other.write_bytes(b"mine")
    with pytest.raises(OutputError, match="did not write"):
        train(replace(request_, output=other))
    assert other.read_bytes() == b"mine"
    with pytest.raises(OutputError, match="end in"):
        train(replace(request_, output=Path("model.pth")))


@pytest.mark.slow
def test_a_student_names_its_teacher_in_the_key(request_: TrainRequest) -> None:
    teacher = run(replace(request_, alpha=0.5, resolution=64, output=Path("teacher.safetensors")))
    taught = replace(request_, teacher="mobilenet_v1", teacher_weights=teacher.path)
    first = run(taught).report["weights"]["recipe"]
    named = first["distillation"]
    assert named["teacher"]["model"]["alpha"] == 0.5, "the file says so"
    assert named["teacher"]["preprocessing"]["height"] == 64
    assert (named["temperature"], named["weight"]) == (4.0, 0.9)
    other = run(replace(request_, alpha=0.5, resolution=64, seed=1, output=teacher.path))
    again = run(replace(taught, teacher_weights=other.path, distill_weight=0.5, temperature=2.0))
    differing = again.report["weights"]["recipe"]["distillation"]
    assert (differing["temperature"], differing["weight"]) == (2.0, 0.5)
    assert differing["teacher"]["sha256"] != named["teacher"]["sha256"]


def test_a_teacher_of_other_classes_is_refused(request_: TrainRequest, tmp_path: Path) -> None:
    three = wanted(pictures(tmp_path / "three", "dark", "grey", "light"))
    named = wanted(pictures(tmp_path / "named", "cold", "warm"))
    for request, message in ((three, "grey"), (named, "cold")):
        teacher = run(replace(request, output=Path("teacher.safetensors")))
        with pytest.raises(InputError, match=f"teacher.*{message}"):
            train(replace(request_, teacher="mobilenet_v1", teacher_weights=teacher.path))
    from safetensors.torch import load_file, save_file

    run(replace(three, output=Path("teacher.safetensors")))
    save_file(load_file("teacher.safetensors"), "silent.safetensors")  # says nothing of itself
    silent = replace(request_, teacher="mobilenet_v1", teacher_weights=Path("silent.safetensors"))
    with pytest.raises(InputError, match="does not know the 2 classes"):
        train(replace(silent, teacher_alpha=0.25))
    with pytest.raises(InputError, match="does not match"):
        train(silent)


@pytest.mark.parametrize(
    "options",
    [
        {"teacher": "mobilenet_v1"},
        {"teacher_weights": Path("t.safetensors")},
        {"temperature": 2.0},
        {"distill_weight": 0.5},
        {"teacher_alpha": 0.5},
    ],
)
def test_half_a_teacher_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="teacher"):
        TrainRequest(arch="mobilenet_v1", **options)


def test_processes_that_were_not_launched_are_refused(
    request_: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="3 processes"):
        train(replace(request_, distribution=Distribution(devices=2)))
