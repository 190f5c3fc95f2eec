"""`edgekit predict` on small bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundle_cases import BOARDS, bundle, invoke, report, save_pictures
from PIL import Image
from support.deployments import LABELS, bare_deployment
from support.graphs import GraphBuilder

from edgekit.cli.predict import predict
from edgekit.errors import InputError, UsageError
from edgekit.graph import ops
from edgekit.graph.execute import run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(7).integers(0, 256, (3, 30, 40, 3), np.uint8)
    save_pictures(tmp_path / "p", pixels, "a.png", "b.png", "sub/c.png")
    return tmp_path / "p"


def test_pictures_take_the_bundle_s_preprocessing_and_arithmetic(
    tmp_path: Path, pictures: Path
) -> None:
    path, made = bundle(tmp_path / "b", "rpi")
    contract = made.preprocessing
    assert contract is not None
    found = report(predict, path, pictures / "b.png", "--top", "5")
    pixels = contract.pixels(Image.open(pictures / "b.png"))
    (output,) = run(made.graph, [contract.quantize(pixels)[None]])
    (one,) = found["predictions"]
    ranked = np.argsort(-output[0].astype(int), kind="stable")
    assert [place["class"] for place in one["top"]] == ranked.tolist()
    assert [place["label"] for place in one["top"]] == [LABELS[i] for i in ranked]
    assert [place["score"] for place in one["top"]] == [
        (int(output[0, i]) + 128) / 256 for i in ranked
    ]


def test_folders_give_a_line_a_picture(tmp_path: Path, pictures: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm")
    lines = invoke(predict, path, pictures, pictures / "a.png", "--top", "2").stdout.splitlines()
    names = [line.split(": ")[0] for line in lines]
    assert [Path(name).name for name in names] == ["a.png", "b.png", "c.png", "a.png"]
    assert lines[0] == lines[3] and lines[0].count(",") == 1


def test_engines_agree_but_for_litert_s_steps(tmp_path: Path, pictures: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm")

    def predictions(engine: str) -> list:
        return report(predict, path, pictures, "--engine", engine)["predictions"]

    assert predictions("tflm") == predictions("reference")
    for one, other in zip(predictions("litert"), predictions("reference"), strict=True):
        assert one["top"][0]["score"] == pytest.approx(other["top"][0]["score"], abs=0.05)


def test_one_unreadable_picture_does_not_stop_the_others(tmp_path: Path, pictures: Path) -> None:
    path, _ = bundle(tmp_path / "b", "rpi")
    (pictures / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"bad\.jpg is not a picture") as caught:
        invoke(predict, path, pictures)
    assert caught.value.exit_code == 3
    (pictures / "worse.png").write_bytes((pictures / "a.png").read_bytes()[:200])
    with pytest.raises(InputError, match=r"2 pictures could not be read.*bad\.jpg"):
        invoke(predict, path, pictures)
    with pytest.raises(InputError, match="There is no picture"):
        invoke(predict, path, tmp_path / "missing.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no picture in"):
        invoke(predict, path, tmp_path / "empty")


def test_arrays_where_the_model_reads_no_pictures(tmp_path: Path) -> None:
    b = GraphBuilder("keywords")
    x = b.input("x", (1, 12), b.int8(0.05, 3))
    graph = b.build(b.fully_connected(x, 3))
    path, _ = bundle(tmp_path / "b", "tflm", bare_deployment(BOARDS["tflm"], graph))
    reals = np.linspace(-5, 5, 24).reshape(2, 12).astype(np.float32)
    np.save(tmp_path / "x.npy", reals)
    found = report(predict, path, tmp_path / "x.npy", "--top", "1")["predictions"]
    assert [one["input"].split("/")[-1] for one in found] == ["x.npy[0]", "x.npy[1]"]
    quantized = np.clip(np.copysign(np.floor(np.abs(reals / 0.05) + 0.5), reals) + 3, -128, 127)
    for one, row in zip(found, quantized.astype(np.int8), strict=True):
        (output,) = run(graph, [row[None]])
        assert one["top"][0]["class"] == output.argmax() and one["top"][0]["label"] is None
    assert "class " in invoke(predict, path, tmp_path / "x.npy").stdout
    with pytest.raises(InputError, match=r"There is no file .*nope\.npy"):
        invoke(predict, path, tmp_path / "nope.npy")
    (tmp_path / "text.npy").write_text("not an array")
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-5])
    (tmp_path / "empty.npy").touch()
    for name in ("text.npy", "cut.npy", "empty.npy"):
        with pytest.raises(InputError, match=r"is no \.npy file"):
            invoke(predict, path, tmp_path / name)
    np.savez(tmp_path / "many.npz", reals)
    with pytest.raises(InputError, match=r"many\.npz is no \.npy file"):
        invoke(predict, path, tmp_path / "many.npz")
    with pytest.raises(UsageError, match="1 inputs, 2"):
        invoke(predict, path, tmp_path / "x.npy", tmp_path / "x.npy")


def test_outputs_that_name_no_class_are_summed_up(tmp_path: Path) -> None:
    b = GraphBuilder("map")
    x = b.input("x", (1, 4, 4, 2), b.int8(0.5, 0))
    graph = b.build(b.add(ops.Relu(), x, name="heat"))
    path, _ = bundle(tmp_path / "b", "tflm", bare_deployment(BOARDS["tflm"], graph))
    np.save(tmp_path / "x.npy", np.arange(-16, 16).reshape(1, 4, 4, 2).astype(np.int8))
    said = invoke(predict, path, tmp_path / "x.npy").stdout
    assert said.strip().endswith("x.npy[0]: heat (1, 4, 4, 2), from 0 to 7.5")
    (one,) = report(predict, path, tmp_path / "x.npy")["predictions"]
    assert np.array(one["outputs"][0]["values"]).max() == 7.5


def test_a_damaged_bundle(tmp_path: Path, pictures: Path) -> None:
    path, _ = bundle(tmp_path / "b", "rpi")
    (path / "labels.txt").write_text("other\nlabels\n")
    with pytest.raises(InputError, match=r"labels\.txt is not as edgekit wrote it"):
        invoke(predict, path, pictures)
    with pytest.raises(InputError, match="is not a bundle"):
        invoke(predict, pictures, pictures / "a.png")
