"""Ctrl-C and SIGTERM at every stage: the exit code, one message, nothing touched or left behind.

The real command runs in a process of its own, which gets the signal at the stage's first call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from support import interrupted
from support.cli import Outcome, edgekit
from support.failing import tree
from support.onnx_models import Onnx, random

pytestmark = pytest.mark.slow

CODES = {"SIGINT": 130, "SIGTERM": 143}
SAID = "edgekit: interrupted; nothing half-written was left."
SMALL = ("--alpha", "0.25", "--resolution", "32", "--epochs", "2", "--threads", "1")
TRAIN = ("build", "mobilenet_v1", *SMALL, "--calibration-images", "10", "--target", "tflm")
READY = ("build", "--model", "small.onnx", "--samples", "samples.npy", "--target", "tflm")

# What a ready model passes through; a process of onnxruntime and one of TFLite Micro are running
# where "onnxruntime" and "verify" begin.
STAGES = {
    "gather": "edgekit.pipeline:gather",
    "claim": "edgekit.emit.folder:_is_taken",
    "convert": "edgekit.stages.entry:_read",
    "onnxruntime": "subprocess:Popen.communicate",
    "calibrate": "edgekit.stages.integer:calibrate",
    "quantize": "edgekit.stages.integer:quantize",
    "write": "edgekit.convert.tflite_writer:write",
    "plan": "edgekit.pipeline:placed",
    "known answers": "edgekit.stages.measure:reference_outputs",
    "verify": "edgekit.emulate.engine:Session.run",
    "bundle": "edgekit.backends.base:Deployment.__init__",
    "report": "edgekit.pipeline:document",
    "files": "edgekit.emit.folder:_fill",
    "fsync": "os:fsync",
}
# What only an architecture passes through.
TRAINED_STAGES = {
    "load weights": "edgekit.models.checkpoints:load_weights",
    "export": "edgekit.convert.torch_onnx:export",
    "check": "edgekit.convert.torch_onnx:check",
    "decode": "edgekit.stages.material:Material.batches",
    "evaluate": "edgekit.stages.measure:evaluate",
    "evaluate batches": "edgekit.report.evaluate:network_input",
}


def with_each_signal(stages: Iterable[str]) -> list[tuple[str, str]]:
    """(signal, stage), the signals by turns: both are handled alike, and starting takes seconds."""
    return list(zip(cycle(CODES), stages))


class Place:
    """A folder with an earlier bundle in it, where builds are interrupted."""

    def __init__(self, path: Path, earlier: Path) -> None:
        self.path = path
        self.cache = path / "cache"
        shutil.copytree(earlier, path / "out" / "bundle")
        (path / "temporary").mkdir()
        self.before = tree(path / "out")

    def run(self, name: str, points: str, *args: str | Path) -> Outcome:
        """Run `edgekit ARGS -o out/bundle` with a signal at each point."""
        env = {
            **os.environ,
            "EDGEKIT_CACHE": str(self.cache),
            "TMPDIR": str(self.path / "temporary"),
        }
        command = [sys.executable, interrupted.__file__, name, points, *map(str, args)]
        done = subprocess.run(
            [*command, "-o", "out/bundle"],
            cwd=self.path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def assert_untouched(self) -> None:
        """The bundle is as it was; there are no other files, and no processes."""
        assert tree(self.path / "out") == self.before
        left = {path.name for path in (self.path / "temporary").iterdir()}
        assert left <= {".ses"}  # onnxruntime leaves that whenever it is imported
        assert not [path for path in self.cache.rglob("*") if path.name.startswith("tmp")]
        assert not processes_of(self.cache)


def processes_of(cache: Path) -> list[str]:
    """The command lines of running processes that keep their checkpoints in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"EDGEKIT_CACHE={cache}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


@pytest.fixture
def place(tmp_path: Path, earlier: Path) -> Place:
    model = Onnx(image=(1, 3, 16, 16))
    x = model.node("Conv", "image", random(8, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    x = model.node("GlobalAveragePool", model.node("Relu", x))
    model.node("Gemm", model.node("Flatten", x), random(8, 4), random(4))
    (tmp_path / "small.onnx").write_bytes(model.data())
    samples = np.random.default_rng(0).normal(size=(20, 16, 16, 3)).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    return Place(tmp_path, earlier)


def assert_stopped(outcome: Outcome, name: str, said: str = SAID) -> None:
    """The signal's exit code, and its message as the only one."""
    assert outcome.code == CODES[name], f"exit {outcome.code}\n{outcome.err}"
    messages = [line for line in outcome.err.splitlines() if line.startswith("edgekit:")]
    assert len(messages) == 1 and said in messages[0], outcome.err
    assert "Traceback" not in outcome.err and "Exception" not in outcome.err, outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(("name", "stage"), with_each_signal(STAGES))
def test_a_ready_model(place: Place, stage: str, name: str) -> None:
    assert_stopped(place.run(name, STAGES[stage], *READY), name)
    place.assert_untouched()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the small network as it begins."""
    torch = pytest.importorskip("torch", reason="needs edgekit[train]")
    from edgekit.models.module import build
    from edgekit.models.registry import resolve

    torch.manual_seed(0)
    module = build(resolve("mobilenet_v1", 0.25, resolution=32, classes=3))
    path = tmp_path_factory.mktemp("checkpoint") / "begun.pth"
    torch.save(module.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "stage"),
    with_each_signal(
        TRAINED_STAGES | {key: STAGES[key] for key in ("calibrate", "verify", "files")}
    ),
)
def test_an_architecture(
    place: Place, checkpoint: Path, photos: Path, stage: str, name: str
) -> None:
    weights = ("--data", photos, "--weights", checkpoint)
    point = (TRAINED_STAGES | STAGES)[stage]
    assert_stopped(place.run(name, point, *TRAIN, *weights), name)
    place.assert_untouched()


@pytest.mark.parametrize("name", CODES)
def test_a_training_keeps_its_position(place: Place, photos: Path, name: str) -> None:
    pytest.importorskip("torch", reason="needs edgekit[train]")
    outcome = place.run(name, "edgekit.training.loop:_Run.step", *TRAIN, "--data", photos)
    assert_stopped(outcome, name, "edgekit: error: The training was stopped after 1 epoch,")
    assert "--resume goes on" in outcome.err
    place.assert_untouched()
    kept = sorted(path.name for path in place.cache.rglob("*.safetensors"))
    assert kept == ["interrupted.safetensors", "position.safetensors"]


@pytest.mark.parametrize("name", CODES)
def test_a_second_signal_stops_a_training_at_once(place: Place, photos: Path, name: str) -> None:
    pytest.importorskip("torch", reason="needs edgekit[train]")
    points = "edgekit.training.loop:_Run.step,edgekit.training.loop:_Run.averaged"
    assert_stopped(place.run(name, points, *TRAIN, "--data", photos), name)
    place.assert_untouched()
    kept = sorted(path.name for path in place.cache.rglob("*.safetensors"))
    assert kept == ["position.safetensors"]


SECOND: dict[str, str] = {
    "while the new files go": "edgekit.emit.folder:_fill,shutil:rmtree",
    "while the place is given back": "edgekit.emit.folder:_fill,pathlib:Path.unlink",
    "while the engine ends": "edgekit.emulate.engine:Session.run,subprocess:Popen.kill",
    "while it is said": "edgekit.pipeline:document,click:echo",
    "while the program ends": "edgekit.pipeline:document,sys:exit",
}


@pytest.mark.parametrize(("name", "when"), with_each_signal(SECOND))
def test_a_second_signal_breaks_no_clearing_up(place: Place, when: str, name: str) -> None:
    assert_stopped(place.run(name, SECOND[when], *READY), name)
    place.assert_untouched()


@pytest.mark.parametrize(
    ("name", "point"), with_each_signal(["edgekit.emit.folder:_swap", "pathlib:Path.rename"])
)
def test_moving_a_bundle_to_its_place_is_not_broken_off(
    place: Place, point: str, name: str
) -> None:
    outcome = place.run(name, point, *READY)
    assert_stopped(outcome, name)
    assert sorted(path.name for path in (place.path / "out").iterdir()) == ["bundle"]
    assert tree(place.path / "out") != place.before
    shown = edgekit("show", "out/bundle", cwd=place.path, cache=place.cache)
    assert shown.code == 0, shown.err
    assert not processes_of(place.cache)
