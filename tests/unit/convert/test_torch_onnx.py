import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn

from edgekit.convert.torch_onnx import check, export
from edgekit.errors import InputError, UsageError, VerificationError
from edgekit.models.layers import PaddingMode
from edgekit.models.module import build
from edgekit.models.registry import resolve

SIZE = 32


class Residual(nn.Module):
    """A strided convolution padded at the end, a skip, and a functional activation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))
        self.down = nn.Conv2d(3, 4, 3, stride=2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(4, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(x + self.conv(x))
        return self.head(self.down(nn.functional.pad(x, (0, 1, 0, 1))))


def module(seed: int = 0) -> nn.Module:
    """A module with weights and statistics that folding must get right."""
    torch.manual_seed(seed)
    built = Residual()
    norm = built.conv[1]
    assert isinstance(norm, nn.BatchNorm2d)
    for value, low, high in (
        (norm.weight, 0.5, 2.0),
        (norm.bias, -1.0, 1.0),
        (norm.running_mean, -1.0, 1.0),
        (norm.running_var, 0.5, 2.0),
    ):
        assert value is not None
        nn.init.uniform_(value, low, high)
    return built


def images(count: int = 5) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((count, 3, SIZE, SIZE)).astype(np.float32)


def exported(seed: int = 0) -> bytes:
    return export(module(seed), (1, 3, SIZE, SIZE))


def test_batch_norm_and_padding_are_folded_and_the_batch_is_free() -> None:
    graph = onnx.load_from_string(exported()).graph
    assert Counter(node.op_type for node in graph.node) == {
        "Conv": 2,
        "Add": 1,
        "Relu": 1,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "Gemm": 1,
    }
    pads = {
        node.name: list(attribute.ints)
        for node in graph.node
        for attribute in node.attribute
        if attribute.name == "pads"
    }
    assert pads == {"conv.0": [1, 1, 1, 1], "down": [0, 0, 1, 1]}
    dims = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert dims == {"image": ["N", 3, SIZE, SIZE], "logits": ["N", 5]}


def test_names_are_the_modules() -> None:
    graph = onnx.load_from_string(exported()).graph
    assert [node.name for node in graph.node] == [
        "conv.0",
        "add",
        "relu",
        "down",
        "head.0",
        "head.1",
        "head.2",
    ]
    assert sorted(tensor.name for tensor in graph.initializer) == [
        "conv.0.bias",
        "conv.0.weight",
        "down.bias",
        "down.weight",
        "head.2.bias",
        "head.2.weight",
    ]


def test_nodes_of_one_module_are_numbered() -> None:
    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x).mean((2, 3)) + 1

    graph = onnx.load_from_string(export(nn.Sequential(Twice()), (1, 3, 4, 4))).graph
    assert [node.name for node in graph.node] == ["0", "0/1", "0/2"]
    assert len({name for node in graph.node for name in node.output}) == 3


def test_onnxruntime_computes_what_torch_computes_at_any_batch() -> None:
    agreement = check(exported(), module(), images(5))
    assert agreement.top1 == 1.0
    assert agreement.max_difference < 1e-5


@pytest.mark.parametrize(("padding", "strided"), [("same", [0, 0, 1, 1]), ("torch", [1, 1, 1, 1])])
def test_mobilenet_v1_leaves_five_kinds_of_node(padding: PaddingMode, strided: list[int]) -> None:
    torch.manual_seed(0)
    spec = resolve("mobilenet_v1", 0.25, 0.571, classes=10, padding=padding)
    built = build(spec)
    content = export(built, spec.input_shape)
    graph = onnx.load_from_string(content).graph
    assert Counter(node.op_type for node in graph.node) == {
        "Conv": 27,
        "Clip": 27,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "Gemm": 1,
    }
    attributes = [
        {attribute.name: list(attribute.ints) for attribute in node.attribute}
        for node in graph.node
        if node.op_type == "Conv"
    ]
    assert [at["pads"] for at in attributes if at["strides"] == [2, 2]] == [strided] * 5
    sample = np.random.default_rng(0).standard_normal((2, *spec.input_shape[1:]))
    assert check(content, built, sample.astype(np.float32)).top1 == 1.0


def test_a_wrong_model_is_caught() -> None:
    with pytest.raises(VerificationError, match="differs from the trained one"):
        check(exported(seed=0), module(seed=1), images())
    with pytest.raises(InputError, match="computes NaN or infinity"):
        check(exported(), module(), images() * np.float32("nan"))


def test_the_same_module_gives_the_same_bytes_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exported() == exported()
    assert exported(seed=0) != exported(seed=1)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_nothing_in_the_bytes_tells_where_or_with_what_they_were_made() -> None:
    content = exported()
    model = onnx.load_from_string(content)
    assert (model.producer_name, model.producer_version) == ("edgekit", "")
    assert not model.metadata_props
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    assert b".py" not in content
    assert b"pytorch" not in content


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from test_torch_onnx import exported; Path(sys.argv[2]).write_bytes(exported())"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes() == exported()


def test_every_parts_training_mode_is_left_alone() -> None:
    built = module().train()
    built.get_submodule("conv.1").eval()
    before = [part.training for part in built.modules()]
    check(export(built, (1, 3, SIZE, SIZE)), built, images())
    assert [part.training for part in built.modules()] == before


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    broken = module()
    with torch.no_grad():
        broken.get_parameter("down.weight")[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"'down\.weight'"):
        export(broken, (1, 3, SIZE, SIZE))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (1, 3, 0, 32), (1, 3, 32)])
def test_input_shapes_that_are_none_are_refused(shape: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="is not"):
        export(module(), shape)
