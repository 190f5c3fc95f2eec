"""The generated run.py, run as a user runs it and imported to look inside."""

import importlib.util
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.bundles import run_py, written
from support.deployments import LABELS, deployment
from support.graphs import GraphBuilder

from edgekit.backends.base import Deployment
from edgekit.emulate import litert
from edgekit.graph.ir import Graph
from edgekit.preprocessing import Preprocessing

BOARDS = {"rpi": "raspberry_pi_4", "coral": "coral_usb"}


def pictures(folder: Path) -> list[Path]:
    """Pictures of all the kinds people have."""
    random = np.random.default_rng(3)
    small = random.integers(0, 256, (9, 7, 3), np.uint8)
    photo = Image.fromarray(small).resize((70, 90), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(folder / "photo.png")
    photo.save(folder / "turned.jpg", exif=exif)
    photo.convert("L").save(folder / "grey.png")
    photo.convert("P").save(folder / "palette.gif")
    photo.convert("1").save(folder / "bitmap.png")
    photo.convert("CMYK").save(folder / "print.jpg")
    alpha = Image.fromarray(random.integers(0, 256, (90, 70), np.uint8))
    photo.putalpha(alpha)
    photo.save(folder / "alpha.png")
    deep = random.integers(0, 65536, (20, 30)).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    return sorted(folder.iterdir())


def bundle(folder: Path, backend: str, **changes: Any) -> tuple[Path, Deployment]:
    made = deployment(BOARDS[backend], **changes)
    return written(folder, made), made


@pytest.fixture(scope="module")
def rpi(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Deployment]:
    return bundle(tmp_path_factory.mktemp("rpi") / "bundle", "rpi")


@pytest.fixture(scope="module")
def coral(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Deployment]:
    return bundle(tmp_path_factory.mktemp("coral") / "bundle", "coral")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return pictures(tmp_path_factory.mktemp("photos"))


def loaded(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


def scores(lines: str, classes: int) -> np.ndarray:
    """What --json --top says, by class."""
    rows = []
    for line in lines.splitlines():
        by_class = {entry["class"]: entry["score"] for entry in json.loads(line)["top"]}
        rows.append([by_class[c] for c in range(classes)])
    return np.array(rows)


def test_scores_are_those_of_litert_run_by_hand(
    rpi: tuple[Path, Deployment], photos: list[Path]
) -> None:
    folder, made = rpi
    said = run_py(folder, *photos, "--json", "--top", 5, "--threads", 1)
    assert said.returncode == 0, said.stderr
    inputs = np.stack([made.preprocessing.pixels(loaded(p)) for p in photos])
    (expected,) = litert.run(made.tflite, [made.preprocessing.quantize(inputs)])
    np.testing.assert_array_equal(scores(said.stdout, 5), (expected + 128.0) / 256)
    names = [json.loads(line)["picture"] for line in said.stdout.splitlines()]
    assert names == [str(p) for p in photos]


def test_a_folder_is_searched_and_labels_are_shown(
    rpi: tuple[Path, Deployment], photos: list[Path]
) -> None:
    said = run_py(rpi[0], photos[0].parent, "--top", 1)
    lines = said.stdout.splitlines()
    assert len(lines) == len(photos)
    assert all(any(label in line for label in LABELS) for line in lines)
    assert "ms on the CPU" in lines[0]


def test_bad_files_are_named_and_the_others_classified(
    rpi: tuple[Path, Deployment], photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(photos[0].read_bytes()[:40])
    (tmp_path / "empty").mkdir()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tiff")
    strange = [tmp_path / name for name in ("broken.jpg", "empty", "absent.png", "float.tiff")]
    said = run_py(rpi[0], *strange, photos[0])
    assert said.returncode == 1
    assert len(said.stdout.splitlines()) == 1
    for path, words in zip(
        strange,
        ("not a picture", "no pictures in this folder", "No such file", "floating-point"),
        strict=True,
    ):
        assert any(str(path) in line and words in line for line in said.stderr.splitlines())
    assert "Traceback" not in said.stderr


@pytest.mark.slow
def test_usage_errors_end_with_two(rpi: tuple[Path, Deployment]) -> None:
    for arguments in ((), ("--top", "0", "x"), ("--benchmark", "0")):
        assert run_py(rpi[0], *arguments).returncode == 2


def test_benchmark_reports_what_was_timed(rpi: tuple[Path, Deployment]) -> None:
    result = json.loads(run_py(rpi[0], "--benchmark", 7, "--threads", 1, "--json").stdout)
    assert (result["inferences"], result["threads"], result["device"]) == (7, 1, "CPU")
    least, median, most = (result[f"{k}_milliseconds"] for k in ("least", "median", "most"))
    assert 0 < least <= median <= most


def test_verify_counts_the_golden_vectors(rpi: tuple[Path, Deployment]) -> None:
    folder, made = rpi
    said = run_py(folder, "--verify", "--json")
    assert said.returncode == 0, said.stderr
    result = json.loads(said.stdout)
    (actual,) = litert.run(made.tflite, [made.golden.inputs[0][:, 0]])
    steps = np.abs(actual.astype(int) - made.golden.outputs[0][:, 0])
    assert result["vectors"] == result["agree"] == 4
    assert result["bit_exact"] == int(np.sum(steps.max(axis=1) == 0))
    largest = (made.golden.outputs[0].astype(int) + 128).max()
    assert result["largest_difference"] == steps.max() / largest


@pytest.mark.slow
def test_verify_fails_on_other_classes_and_on_damage(tmp_path: Path) -> None:
    made = deployment("raspberry_pi_4")
    spoiled = replace(made.golden, outputs=(np.roll(made.golden.outputs[0], 1, axis=-1),))
    folder, _ = bundle(tmp_path / "spoiled", "rpi", golden=spoiled)
    assert run_py(folder, "--verify").returncode == 1
    folder, _ = bundle(tmp_path / "damaged", "rpi")
    model = folder / "model_int8.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    said = run_py(folder, "--verify")
    assert said.returncode == 1
    assert "damaged or changed: model_int8.tflite" in said.stderr


@pytest.mark.slow
def test_a_missing_runtime_is_explained(rpi: tuple[Path, Deployment], tmp_path: Path) -> None:
    for name in ("ai_edge_litert", "tflite_runtime"):
        (tmp_path / f"{name}.py").write_text("raise ImportError\n")
    said = run_py(rpi[0], "--benchmark", 1, env={"PYTHONPATH": str(tmp_path)})
    assert said.returncode == 1
    assert "pip install -r requirements.txt" in said.stderr


@pytest.mark.parametrize("package", ["numpy", "PIL"])
def test_a_missing_package_is_explained(
    rpi: tuple[Path, Deployment], tmp_path: Path, package: str
) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ImportError('No {package} here')\n")
    said = run_py(rpi[0], "--benchmark", 1, env={"PYTHONPATH": str(tmp_path)})
    assert said.returncode == 1 and "Traceback" not in said.stderr
    assert said.stderr.startswith(f"No {package} here. Try: ")


def test_camera_through_opencv(rpi: tuple[Path, Deployment], tmp_path: Path) -> None:
    """A stand-in for OpenCV: BGR frames of one colour, the second one missing."""
    (tmp_path / "picamera2.py").write_text("raise ImportError\n")
    (tmp_path / "cv2.py").write_text(
        "import numpy\n"
        "class VideoCapture:\n"
        "    def __init__(self, index): self.left = 1\n"
        "    def isOpened(self): return True\n"
        "    def read(self):\n"
        "        self.left -= 1\n"
        "        frame = numpy.zeros((20, 30, 3), numpy.uint8) + numpy.uint8([10, 20, 200])\n"
        "        return self.left >= 0, frame\n"
    )
    folder, made = rpi
    environment = {"PYTHONPATH": str(tmp_path)}
    said = run_py(folder, "--camera", "--frames", 1, "--json", "--top", 5, env=environment)
    assert said.returncode == 0, said.stderr
    red = Image.new("RGB", (30, 20), (200, 20, 10))
    values = made.preprocessing.quantize(made.preprocessing.pixels(red))
    (expected,) = litert.run(made.tflite, [values[None]])
    np.testing.assert_array_equal(scores(said.stdout, 5), (expected + 128.0) / 256)
    said = run_py(folder, "--camera", env=environment)
    assert said.returncode == 1 and "The camera gives no picture." in said.stderr


@pytest.mark.slow
def test_no_camera_software_is_explained(rpi: tuple[Path, Deployment], tmp_path: Path) -> None:
    for name in ("picamera2", "cv2"):
        (tmp_path / f"{name}.py").write_text("raise ImportError\n")
    said = run_py(rpi[0], "--camera", env={"PYTHONPATH": str(tmp_path)})
    assert said.returncode == 1 and "picamera2" in said.stderr and "OpenCV" in said.stderr


def test_coral_says_that_it_runs_on_the_cpu_and_why(
    coral: tuple[Path, Deployment], photos: list[Path]
) -> None:
    said = run_py(coral[0], photos[0], "--json")
    assert said.returncode == 0
    assert json.loads(said.stdout)["device"] == "CPU"
    assert "there is no model_int8_edgetpu.tflite" in said.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os.abort()", "its library crashed (signal 6)"),
        ("raise OSError('libedgetpu.so.1: cannot open')", "libedgetpu.so.1: cannot open"),
        ("os._exit(3)", "the probe failed with code 3"),
    ],
)
def test_a_broken_edge_tpu_library_does_not_take_run_py_with_it(
    tmp_path: Path, photos: list[Path], body: str, words: str
) -> None:
    """A stand-in for the runtime whose load_delegate fails as real libraries do."""
    folder, _ = bundle(tmp_path / "bundle", "coral")
    (folder / "model_int8_edgetpu.tflite").write_bytes(b"stands for a compiled model")
    stand_in = tmp_path / "path" / "ai_edge_litert"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text("")
    (stand_in / "interpreter.py").write_text(
        f"import os\ndef load_delegate(name):\n    {body}\nclass Interpreter:\n"
        "    def __init__(self, **k): raise SystemExit('CPU was tried')\n"
    )
    said = run_py(folder, photos[0], env={"PYTHONPATH": str(tmp_path / "path")})
    assert words in said.stderr and "CPU was tried" in said.stderr


def grey_graph() -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input("image", (1, 12, 10, 1), b.int8(1 / 64, 3)), 4, (3, 3), stride=(2, 2))
    return b.build(b.fully_connected(b.flatten(x), 5))


CONTRACTS = {
    "crop": {"resize": "center_crop", "crop_fraction": 0.875},
    "bgr": {"color": "BGR", "mean": (104.0, 117.0, 123.0), "std": (58.4, 57.1, 57.4)},
    "grey": {"color": "L", "mean": (72.9,), "std": (90.0,)},
    "odd": {"mean": (0.1, 200.0, 127.5), "std": (300.0, 0.7, 1.0)},
}


@pytest.fixture(params=CONTRACTS)
def variant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Preprocessing]]:
    """The run.py of a contract as a module, and the contract."""
    graph = grey_graph() if request.param == "grey" else None
    usual = deployment("raspberry_pi_4", graph).preprocessing
    contract = replace(usual, **CONTRACTS[request.param])
    folder, _ = bundle(tmp_path / "b", "rpi", graph=graph, preprocessing=contract)
    spec = importlib.util.spec_from_file_location("generated_run", folder / "run.py")
    assert spec and spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module, contract


def test_preprocessing_is_the_contract_bit_for_bit(
    variant: tuple[Any, Preprocessing], photos: list[Path]
) -> None:
    module, contract = variant
    for path in photos:
        image = loaded(path)
        expected = contract.quantize(contract.pixels(image))
        np.testing.assert_array_equal(module.preprocess(image), expected, err_msg=path.name)


def test_every_pixel_value_is_quantized_as_the_table_says(
    variant: tuple[Any, Preprocessing],
) -> None:
    module, contract = variant
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], contract.channels, axis=1)
    real = contract.normalize(ramp)
    np.testing.assert_array_equal(module.to_tensor(real, module.INPUTS[0]).T, contract.table())


def test_broken_exif_does_not_stop_it(rpi: tuple[Path, Deployment], tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "red").save(
        tmp_path / "x.jpg", exif=b"Exif\0\0II*\0" + struct.pack("<IH", 8, 900)
    )
    said = run_py(rpi[0], tmp_path / "x.jpg")
    assert said.returncode == 0 and "Traceback" not in said.stderr
