"""Damaged and hostile checkpoints, models, arrays and labels: refused, nothing run or touched."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.graphs import GraphBuilder, convnet
from support.onnx_models import Onnx, random

from edgekit.convert.tflite_writer import write
from edgekit.graph import ops

pytestmark = pytest.mark.slow

TFLM = ("--target", "tflm")
SMALL = ("--alpha", "0.25", "--resolution", "32", "--calibration-images", "10")
Fails = Callable[..., None]
Change = Callable[[Path], Any]


class Evil:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


def state(alpha: float = 0.25, **changes: float) -> dict[str, Any]:
    """The weights of the small network, one tensor of it changed to hold a number."""
    import torch

    from edgekit.models.module import build
    from edgekit.models.registry import resolve

    torch.manual_seed(0)
    tensors = build(resolve("mobilenet_v1", alpha, resolution=32, classes=3)).state_dict()
    for name, value in changes.items():
        tensors[name.replace("__", ".")].flatten()[0] = value
    return tensors


def save(tensors: object) -> Change:
    def write_file(path: Path) -> None:
        import torch
        from safetensors.torch import save_file

        (save_file if path.suffix == ".safetensors" else torch.save)(tensors, path)

    return write_file


def cut(path: Path) -> None:
    save(state())(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def huge_header(path: Path) -> None:
    save(state())(path)
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])


WEIGHTS: dict[str, tuple[Change, str]] = {
    "absent.pth": (lambda path: None, "no checkpoint"),
    "folder.pth": (Path.mkdir, "no checkpoint"),
    "empty.pth": (Path.touch, "not a readable checkpoint"),
    "truncated.pth": (cut, "not a readable checkpoint"),
    "truncated.safetensors": (cut, "not a readable checkpoint"),
    "header.safetensors": (huge_header, "not a readable checkpoint"),
    "pickle.pth": (lambda p: p.write_bytes(pickle.dumps({"a": Evil()})), "not a readable"),
    "evil.pth": (lambda path: save({"a": Evil()})(path), "not a readable checkpoint"),
    "nan.pth": (lambda p: save(state(classifier__bias=float("nan")))(p), "holds NaN"),
    "wide.pth": (
        lambda path: save(state(alpha=0.5))(path),
        "looks like mobilenet_v1 with alpha 0.5",
    ),
    "variance.pth": (lambda path: save(state(bn1__running_var=-1.0))(path), "below zero"),
    "huge.pth": (lambda path: save(state(classifier__bias=3e38))(path), "cannot be quantized"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_checkpoints(fails: Fails, photos: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch", reason="needs edgekit[train]")
    make, said = WEIGHTS[name]
    make(tmp_path / name)
    loading = ("--data", photos, "--weights", name, "--target", "tflm")
    fails(3, said, "build", "mobilenet_v1", *SMALL, *loading)
    assert not (tmp_path / "executed").exists()


def classifier(**constants: Any) -> onnx.ModelProto:
    model = Onnx(x=(1, 3, 12, 12))
    y = model.node("Relu", model.node("Conv", "x", random(4, 3, 3, 3), random(4)))
    y = model.node("Flatten", model.node("GlobalAveragePool", y))
    model.node("Softmax", model.node("Gemm", y, random(4, 5), random(5)))
    for name, value in constants.items():
        model.constants[name].flat[0] = value
    return model.proto()


def external(location: str) -> bytes:
    """A model whose weights claim to lie in another file."""
    proto = classifier()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return bytes(proto.SerializeToString())


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs: deeper than any parser's stack."""
    content = b""
    for _ in range(depth):
        for field in (1, 5, 6):  # GraphProto.node, NodeProto.attribute, AttributeProto.g
            content = bytes([field << 3 | 2]) + varint(len(content)) + content
    return b"\x3a" + varint(len(content)) + content  # ModelProto.graph


def varint(value: int) -> bytes:
    return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])


def branches() -> bytes:
    """If within If within If."""
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [y])
    for _ in range(8):
        node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "g", [], [y])
    for name, kind in (("x", TensorProto.FLOAT), ("c", TensorProto.BOOL)):
        graph.input.append(helper.make_tensor_value_info(name, kind, [1]))
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset).SerializeToString())


def one_node(kind: str, shape: tuple[int, ...] = (1, 3, 8, 8)) -> bytes:
    model = Onnx(x=shape)
    model.node(kind, "x")
    return model.data()


ONNX = classifier().SerializeToString()
TFLITE = write(convnet())
MODELS: dict[str, tuple[bytes, int, str]] = {
    "empty.tflite": (b"", 3, "is empty"),
    "text.tflite": (b"hello " * 99, 3, "not a TFLite model"),
    "truncated.tflite": (TFLITE[: len(TFLITE) // 2], 3, "damaged"),
    "offsets.tflite": (TFLITE[:16] + b"\xff\xff\xff\x7f" * 8 + TFLITE[48:], 3, "damaged"),
    "empty.onnx": (b"", 3, "not an ONNX model"),
    "text.onnx": (b"hello " * 99, 3, "not an ONNX model"),
    "truncated.onnx": (ONNX[: len(ONNX) // 2], 3, "not an ONNX model"),
    "outside.onnx": (external("../../../../etc/passwd"), 3, "outside the directory"),
    "absolute.onnx": (external("/etc/passwd"), 3, "absolute path"),
    "link.onnx": (external("link.bin"), 3, "symbolic link"),
    "absent.onnx": (external("absent.bin"), 3, "weights"),
    "deep.onnx": (nested(2000), 3, "not an ONNX model"),
    "branches.onnx": (branches(), 4, "branches are not supported"),
    "huge.onnx": (one_node("Relu", (1, 3, 2**30, 2**30)), 4, "larger than 256 MiB"),
    "elu.onnx": (one_node("Elu"), 4, "(Elu)"),
    "nan.onnx": (classifier(constant0=np.nan).SerializeToString(), 3, "not finite"),
    "infinite.onnx": (classifier(constant2=np.inf).SerializeToString(), 3, "not finite"),
    "model.h5": (b"\x89HDF", 2, "Give .onnx or .tflite"),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(fails: Fails, tmp_path: Path, name: str) -> None:
    content, code, said = MODELS[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    np.save(tmp_path / "x.npy", random(4, 12, 12, 3))
    samples = ("--samples", "x.npy") if name.endswith(".onnx") else ()
    fails(code, said, "build", "--model", name, *samples, *TFLM)


def test_models_that_are_not_there_or_lack_data(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "good.onnx").write_bytes(ONNX)
    fails(3, "nowhere.onnx", "build", "--model", "nowhere.onnx", "--target", "tflm")
    fails(2, "data to calibrate", "build", "--model", "good.onnx", "--target", "tflm")
    fails(2, "needs an architecture", "build", "--model", "good.onnx", "--epochs", "3", *TFLM)


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(999)


SAMPLES: dict[str, tuple[Change, str]] = {
    "absent.npy": (lambda path: None, "absent.npy"),
    "empty.npy": (Path.touch, "empty.npy"),
    "text.npy": (lambda path: path.write_bytes(b"hello " * 99), "text.npy"),
    "short.npy": (lambda path: path.write_bytes(header("(9, 12, 12, 3)")), "short.npy"),
    "objects.npy": (lambda path: np.save(path, np.array([Evil()], object)), "objects.npy"),
    "text_array.npy": (lambda path: np.save(path, np.array([["a"]])), "text_array.npy"),
    "nan.npy": (lambda path: np.save(path, np.full((4, 12, 12, 3), np.nan)), "finite"),
    "none.npy": (lambda path: np.save(path, np.zeros((0, 12, 12, 3))), "holds no samples"),
    "other.npy": (lambda path: np.save(path, np.zeros((4, 5))), "(1, 12, 12, 3)"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(fails: Fails, tmp_path: Path, name: str) -> None:
    make, said = SAMPLES[name]
    make(tmp_path / name)
    (tmp_path / "good.onnx").write_bytes(ONNX)
    fails(3, said, "build", "--model", "good.onnx", "--samples", name, *TFLM)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "names no classes"), (b"\xff\xfe\x00", "cannot be read"), (b"a\nb\n", "2 labels")],
)
def test_labels(fails: Fails, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "good.tflite").write_bytes(TFLITE)
    (tmp_path / "labels.txt").write_bytes(content)
    fails(3, said, "build", "--model", "good.tflite", "--labels", "labels.txt", *TFLM)


def test_a_model_too_big_for_the_board(fails: Fails, tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.conv(b.input("x", (1, 160, 160, 3), b.int8(1 / 128, -1)), 16, (3, 3))
    b.fully_connected(b.add(ops.Mean(), x, b.ints("axes", [1, 2])), 4)
    (tmp_path / "big.tflite").write_bytes(write(b.build()))
    command = ("build", "--model", "big.tflite", *TFLM, "--board", "microbit_v2")
    fails(5, "it lacks 364,", *command)
    fails(5, "a board that has room: ", *command)
