"""Weights from elsewhere: a package, a server, a .tflite file."""

import hashlib
import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from published import seeded
from safetensors.torch import save_file
from support.shared import shared_file

from edgekit import data
from edgekit.convert import tflite_reader
from edgekit.errors import InputError, MissingToolError, UsageError
from edgekit.graph.execute import run
from edgekit.graph.ops import Softmax
from edgekit.models import registry
from edgekit.models.download import digest_of
from edgekit.models.module import build
from edgekit.models.published import PACKAGES, TORCHVISION
from edgekit.stages.pretrained import load, located, padding_of
from edgekit.stages.request import IMAGENET
from edgekit.training.checkpoint import with_description

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/imagenet_lite.json").read_text())
QUANTIZED = "coral/mobilenet_v1_0.25_128_quant.tflite"
V1 = registry.get("mobilenet_v1")


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


@pytest.mark.slow
@pytest.mark.parametrize("arch", GOLDEN)
def test_the_packaged_weights_compute_what_their_own_package_does(arch: str) -> None:
    missing = [package for package, _, _ in PACKAGES.values() if find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (pip install 'edgekit[imagenet]')")
    spec = registry.resolve(arch, padding=padding_of(IMAGENET, registry.get(arch)))
    module = build(spec)
    assert not load(module, located(IMAGENET, spec, silent), spec).new_classifier
    side = spec.resolution
    images = seeded.images(math.ceil(side / 8) * 8)[:, :, :side, :side]
    with torch.no_grad():
        logits = module.eval()(torch.from_numpy(images.copy()))[:, : seeded.LOGITS].numpy()
    np.testing.assert_allclose(logits, GOLDEN[arch], rtol=0, atol=1e-3)


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.extras.find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match="'imagenet' extra") as caught:
        located(IMAGENET, registry.resolve("efficientnet_lite0"), silent)
    assert "--weights FILE" in caught.value.hint


def test_a_package_with_other_content_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package, file, _ in PACKAGES.values():
        (tmp_path / package / file).parent.mkdir(parents=True)
        (tmp_path / package / file).write_bytes(b"other")
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('not to be run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="does not hold the published weights"):
        located(IMAGENET, registry.resolve("efficientnet_lite0"), silent)


def test_torchvisions_weights_come_from_the_server_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = registry.resolve("mobilenet_v2")
    (tmp_path / "mirror").mkdir()
    published = tmp_path / "mirror/net.pth"
    torch.save(build(spec).state_dict(), published)
    name = f"mobilenet_v2-{digest_of(published)[:8]}.pth"
    published.rename(published.with_name(name))
    monkeypatch.setitem(TORCHVISION, "mobilenet_v2", name)
    monkeypatch.setenv("EDGEKIT_WEIGHTS_URL", (tmp_path / "mirror").as_uri() + "/")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    path = located(IMAGENET, spec, silent)
    assert path == tmp_path / "cache/downloads" / name
    assert load(build(spec), path, spec).note == f"Loaded {name}."
    (tmp_path / "mirror" / name).unlink()
    assert located(IMAGENET, spec, silent) == path
    path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="Could not download"):
        located(IMAGENET, spec, silent)


def test_a_file_is_itself(tmp_path: Path) -> None:
    assert located(tmp_path / "a.pth", registry.resolve("mobilenet_v1"), silent) == (
        tmp_path / "a.pth"
    )
    with pytest.raises(UsageError, match="No ImageNet weights of mobilenet_v1"):
        located(IMAGENET, registry.resolve("mobilenet_v1"), silent)
    with pytest.raises(UsageError, match="scaled by --phi"):
        located(IMAGENET, registry.resolve("efficientnet_b0", phi=-2), silent)


def test_padding_follows_the_weights(tmp_path: Path) -> None:
    assert padding_of(None, V1) == "same"
    assert padding_of(Path("net.tflite"), V1) == "same"
    assert padding_of(Path("net.pth"), V1) == "torch"
    assert padding_of(Path("net.pth"), registry.get("efficientnet_lite0")) == "same"
    state = {"a": torch.zeros(1)}
    for padding in ("same", "torch"):
        spec = registry.resolve("mobilenet_v1", padding=padding)
        path = tmp_path / f"{padding}.safetensors"
        path.write_bytes(with_description(state, {"model": spec.to_json()}))
        assert padding_of(path, V1) == padding
    save_file(state, tmp_path / "other.safetensors", {"format": "pt"})
    assert padding_of(tmp_path / "other.safetensors", V1) == "torch"
    for damaged in ("{", "[]", '{"model": {}}', '{"model": []}', "[" * 100_000):
        save_file(state, tmp_path / "bad.safetensors", {"edgekit": damaged})
        with pytest.raises(InputError, match="is damaged"):
            padding_of(tmp_path / "bad.safetensors", V1)


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    """Google's quantized MobileNetV1 0.25 for ImageNet and its background class."""
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(shared_file(QUANTIZED))
    return path


def v1(classes: int, alpha: float = 0.25) -> Any:
    return registry.resolve("mobilenet_v1", alpha, resolution=128, classes=classes)


def test_a_quantized_files_weights_compute_what_it_does(quantized: Path) -> None:
    graph = tflite_reader.read(quantized.read_bytes())
    module = build(v1(1001))
    assert not load(module, quantized, v1(1001)).new_classifier
    dataset = data.load()
    contract = dataset.preprocessing(128, 128)
    assert contract.mean == contract.std == (128.0,) * 3  # as the file's input: (q - 128) / 128
    pixels = dataset.splits["test"].pixels(np.arange(24), contract)
    source = next(node.inputs[0] for node in graph.nodes if isinstance(node.op, Softmax))
    seen = []
    run(graph, [pixels], lambda name, value: seen.append(value) if name == source else None)
    theirs = np.concatenate(seen).reshape(24, -1).astype(np.float64)
    with torch.no_grad():
        inputs = torch.from_numpy(contract.normalize(pixels)).permute(0, 3, 1, 2)
        ours = module.eval()(inputs).numpy()
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]
    assert np.mean(correlation) > 0.98
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) > 0.6


def test_the_background_class_goes_and_other_classifiers_are_replaced(quantized: Path) -> None:
    whole, without = build(v1(1001)), build(v1(1000))
    load(whole, quantized, v1(1001))
    loaded = load(without, quantized, v1(1000))
    assert loaded.note == "Loaded the integers of mobilenet.tflite as weights."
    assert torch.equal(whole[-1].weight[1:], without[-1].weight)
    assert torch.equal(whole[-1].bias[1:], without[-1].bias)
    loaded = load(build(v1(10)), quantized, v1(10))
    assert loaded.new_classifier and "for 1,001 classes, not 10" in loaded.note


def test_a_tflite_file_of_another_network_is_refused_by_the_layer(quantized: Path) -> None:
    with pytest.raises(InputError, match=r"mobilenet\.tflite: .*where 'conv_stem' has \(16, 3,"):
        load(build(v1(10, alpha=0.5)), quantized, v1(10, alpha=0.5))
    spec = registry.resolve("mobilenet_v2", 0.25, resolution=32, classes=4)
    with pytest.raises(InputError, match="28 layers with weights, mobilenet_v2 has 53"):
        load(build(spec), quantized, spec)


def test_unreadable_tflite_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(build(v1(4)), tmp_path / "none.tflite", v1(4))
    (tmp_path / "noise.tflite").write_bytes(hashlib.sha512(b"noise").digest() * 9)
    with pytest.raises(InputError, match=r"noise\.tflite"):
        load(build(v1(4)), tmp_path / "noise.tflite", v1(4))
