import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn

from edgekit.models.cost import cost
from edgekit.models.layers import PaddingMode
from edgekit.models.module import build
from edgekit.models.modules import SameConv2d
from edgekit.models.registry import names, resolve

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
# timm's mobilenetv1_100, written out: stages of 1, 2, 2, 6 and 2 blocks.
TIMM_BLOCKS = [
    "blocks.0.0",
    "blocks.1.0",
    "blocks.1.1",
    "blocks.2.0",
    "blocks.2.1",
    "blocks.3.0",
    "blocks.3.1",
    "blocks.3.2",
    "blocks.3.3",
    "blocks.3.4",
    "blocks.3.5",
    "blocks.4.0",
    "blocks.4.1",
]
TIMM_KEYS = [
    "conv_stem.weight",
    *(f"bn1.{part}" for part in NORM),
    *(
        key
        for block in TIMM_BLOCKS
        for conv, norm in (("conv_dw", "bn1"), ("conv_pw", "bn2"))
        for key in (f"{block}.{conv}.weight", *(f"{block}.{norm}.{part}" for part in NORM))
    ),
    "classifier.weight",
    "classifier.bias",
]


@pytest.mark.parametrize("padding", ["same", "torch"])
def test_keys_and_shapes_are_timms(padding: PaddingMode) -> None:
    state = build(resolve("mobilenet_v1", padding=padding)).state_dict()
    assert list(state) == TIMM_KEYS
    assert state["conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["blocks.3.0.conv_dw.weight"].shape == (256, 1, 3, 3)
    assert state["blocks.3.0.conv_pw.weight"].shape == (512, 256, 1, 1)
    assert state["classifier.weight"].shape == (1000, 1024)


@pytest.mark.parametrize("name", names())
def test_the_module_has_as_many_parameters_as_the_cost_says(name: str) -> None:
    spec = resolve(name, 0.25, classes=7)
    module = build(spec)
    assert sum(value.numel() for value in module.parameters()) == cost(spec).params


@pytest.mark.parametrize("padding", ["same", "torch"])
@pytest.mark.parametrize("resolution", [17, 64, 97])
def test_maps_have_the_sizes_the_tree_says(padding: PaddingMode, resolution: int) -> None:
    spec = resolve("mobilenet_v1", 0.25, resolution=resolution, classes=4, padding=padding)
    expected = {row.name: row.output_shape for row in cost(spec).layers}
    module = build(spec).eval()
    seen: dict[str, tuple[int, ...]] = {}
    for name, part in module.named_modules():
        if name in expected:
            part.register_forward_hook(
                lambda _part, _inputs, output, name=name: seen.update(
                    {name: tuple(output.shape[1:])}
                )
            )
    with torch.no_grad():
        module(torch.zeros(2, *spec.input_shape[1:]))
    assert seen == expected


def test_same_convolution_reads_the_rows_tflite_reads() -> None:
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(conv.weight)
    with torch.no_grad():
        covered = conv(torch.ones(1, 1, 4, 6))[0, 0].numpy()
    # Rows 0-2 and 2-4, columns 0-2, 2-4 and 4-6: only the last of each reaches over the edge.
    np.testing.assert_array_equal(covered, [[9, 9, 6], [6, 6, 4]])


def test_the_two_paddings_differ_only_where_a_stride_is() -> None:
    kinds = {
        padding: [
            type(part)
            for part in build(resolve("mobilenet_v1", 0.25, padding=padding)).modules()
            if isinstance(part, nn.Conv2d)
        ]
        for padding in ("same", "torch")
    }
    assert kinds["same"].count(SameConv2d) == 5
    assert set(kinds["torch"]) == {nn.Conv2d}


def test_one_seed_gives_one_start_and_activations_keep_their_scale() -> None:
    spec = resolve("mobilenet_v1", 0.5, resolution=64, classes=4)
    torch.manual_seed(3)
    first = build(spec)
    torch.manual_seed(3)
    second = build(spec).state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.state_dict().items())
    depthwise = first.get_submodule("blocks.3.0.conv_dw").weight
    assert isinstance(depthwise, torch.Tensor)
    assert depthwise.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
