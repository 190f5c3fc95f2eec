"""The wheel in a virtual environment of its own: no checkout on the path, none of the extras."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.onnx_models import Onnx, random

from edgekit.extras import MODULES

pytest.importorskip("hatchling", reason="needs edgekit[dev]")
pytest.importorskip("pip", reason="needs pip")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DATA = ("targets", "firmware_templates", "calibration")
NOT_SHIPPED = re.compile(r"__pycache__|/make_\w+\.py$|\.gitattributes$")
EXTRAS = [module for modules in MODULES.values() for module in modules]


def call(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that must find everything it needs by itself."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"EDGEKIT_CACHE": str(cwd / "cache"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300
    )


def built(kind: str, source: Path, folder: Path) -> Path:
    """The wheel or sdist of a source tree."""
    done = call(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def bin_dir(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment that holds the wheel, and this one's packages but the extras.

    A folder named in a .pth file is searched, but the .pth files in it are not read: that of the
    editable installation, which leads to the checkout, is out of play.
    """
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    bin_dir = home / "bin"
    (packages,) = home.glob("lib/python*/site-packages")
    paths = sysconfig.get_paths()
    parent = "\n".join(sorted({paths["purelib"], paths["platlib"]}))
    (packages / "parent.pth").write_text(f"{parent}\n")
    pip = (bin_dir / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    done = call(*pip, "--ignore-installed", wheel, cwd=home)
    assert done.returncode == 0, done.stderr
    blocked = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS}))"
    (packages / "extras.pth").write_text(f"{blocked}\n")
    return bin_dir


def test_the_package_runs_from_the_environment(bin_dir: Path, tmp_path: Path) -> None:
    code = "import sys, edgekit; print(edgekit.__file__); print(*sys.path, sep='\\n')"
    file, *paths = call(bin_dir / "python", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert Path(file).is_relative_to(bin_dir.parent)
    assert str(ROOT) not in paths


def test_boards_and_models_are_listed(bin_dir: Path, tmp_path: Path) -> None:
    boards = call(bin_dir / "edgekit", "boards", "--json", cwd=tmp_path)
    assert boards.returncode == 0, boards.stderr
    assert {board["id"] for board in json.loads(boards.stdout)} == {
        path.stem for path in (ROOT / "targets").glob("*.toml")
    }
    models = call(bin_dir / "edgekit", "models", "--json", cwd=tmp_path)
    assert models.returncode == 0, models.stderr
    assert "mobilenet_v1" in {row["name"] for row in json.loads(models.stdout)}


@pytest.mark.parametrize("target", ["coral", "rpi", "tflm"])
def test_an_onnx_model_is_deployed_and_shown(bin_dir: Path, tmp_path: Path, target: str) -> None:
    model = Onnx(image=(1, 3, 16, 16))
    x = model.node("Conv", "image", random(8, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    x = model.node("GlobalAveragePool", model.node("Relu", x))
    model.node("Gemm", model.node("Flatten", x), random(8, 4), random(4))
    (tmp_path / "small.onnx").write_bytes(model.data())
    samples = np.random.default_rng(0).normal(size=(20, 16, 16, 3)).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)

    options = ("--model", "small.onnx", "--samples", "samples.npy", "--target", target, "--json")
    done = call(bin_dir / "edgekit", "build", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    verified = json.loads(done.stdout)["verified"]
    assert not verified["checked"] and "edgekit[emulate]" in verified["reason"]
    bundle = tmp_path / f"build/small_{target}"
    assert (bundle / "model_int8.tflite").read_bytes()[4:8] == b"TFL3"
    shown = call(bin_dir / "edgekit", "show", bundle, cwd=tmp_path)
    assert shown.returncode == 0 and "small" in shown.stdout, shown.stderr


def test_the_embedded_data_set_is_whole(bin_dir: Path, tmp_path: Path) -> None:
    code = "from edgekit import data; print({k: len(v) for k, v in data.load().splits.items()})"
    done = call(bin_dir / "python", "-c", code, cwd=tmp_path)
    here = call(sys.executable, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == here.stdout


def test_an_architecture_without_torch_names_the_extra(bin_dir: Path, tmp_path: Path) -> None:
    done = call(bin_dir / "edgekit", "build", "mobilenet_v1", "--target", "coral", cwd=tmp_path)
    assert done.returncode == 7, done.stderr
    assert "pip install 'edgekit[train]'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "build").exists()


def test_the_wheel_holds_the_package_and_every_shipped_file(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "edgekit").rglob("*")}
    data = {
        f"edgekit/_shipped/{path.relative_to(ROOT).as_posix()}"
        for folder in DATA
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    expected = {name for name in code | data if not NOT_SHIPPED.search(name)}
    assert packed == {name for name in expected if Path(name).suffix or "/_shipped/" in name}


def test_the_sdist_holds_every_file_of_the_repository(sdist: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    with tarfile.open(sdist) as archive:
        packed = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {name for name in listed.stdout.splitlines() if (ROOT / name).exists()} <= packed


def test_the_wheel_of_the_sdist_is_the_wheel_to_the_byte(
    wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again = built("wheel", source, tmp_path / "again")
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()
