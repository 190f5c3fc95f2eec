import copy
import itertools
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own habit)
from torch import Tensor, nn

from edgekit import extras
from edgekit.compress.calibrate import calibrate
from edgekit.compress.pruning.prune import Pruned, Width, prune
from edgekit.compress.pruning.rule import Rule
from edgekit.compress.quantize import quantize
from edgekit.convert import onnx_graph, tflite_writer, torch_onnx
from edgekit.errors import InputError, MissingToolError, UsageError
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.models import registry
from edgekit.models.cost import cost
from edgekit.models.module import build

SHAPE = (1, 3, 16, 16)
SPEC = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=4)


@pytest.fixture
def mobilenet() -> nn.Module:
    torch.manual_seed(0)
    return build(SPEC)


def conv(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Entangled(nn.Module):
    """A residual block with depthwise convolution and squeeze and excitation, and two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 16, 3)
        self.expand = conv(16, 32)
        self.depthwise = conv(32, 32, 3, groups=32)
        self.squeeze = nn.Conv2d(32, 16, 1)
        self.excite = nn.Conv2d(16, 32, 1)
        self.project = conv(32, 16)
        self.side = conv(16, 16)
        self.hidden = nn.Linear(32, 24)
        self.classifier = nn.Linear(24, 17)

    def forward(self, x: Tensor) -> Tensor:
        x = start = F.relu6(self.stem(x))
        x = F.hardswish(self.depthwise(F.relu6(self.expand(x))))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1))))
        x = start + self.project(x * F.hardsigmoid(gate))
        x = torch.cat([x, F.relu(self.side(x))], 1)
        return self.classifier(F.hardswish(self.hidden(x.mean((2, 3)))))


def entangled() -> Entangled:
    torch.manual_seed(0)
    module = Entangled()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.uniform_(0.1, 1)
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return module.eval()


def silence(layers: tuple[nn.Module, ...], channels: list[int]) -> None:
    """Make channels 0 for every input."""
    for layer in layers:
        for part in layer.modules():
            if isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                part.weight.data[channels] = 0
                if part.bias is not None:
                    part.bias.data[channels] = 0


def widths(pruned: Pruned) -> dict[str, tuple[int, int]]:
    return {width.layer: (width.before, width.after) for width in pruned.widths}


def test_each_layer_keeps_the_nearest_multiple_of_8_and_the_classes_stay(
    mobilenet: nn.Module,
) -> None:
    pruned = prune(mobilenet, 0.3, SPEC.input_shape)
    nearest = {8: 8, 16: 8, 32: 24, 64: 48, 128: 88, 256: 176}
    assert len(pruned.widths) == 27
    assert all(width.after == nearest[width.before] for width in pruned.widths)
    assert pruned.module(torch.zeros(2, 3, 32, 32)).shape == (2, 4)
    assert pruned.reached == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(("ratio", "multiple"), [*itertools.product((0.1, 0.5, 0.9), (4, 8, 16))])
def test_widths_are_multiples_and_never_below_8(
    mobilenet: nn.Module, ratio: float, multiple: int
) -> None:
    pruned = prune(mobilenet, ratio, SPEC.input_shape, Rule(multiple=multiple))
    changed = [width for width in pruned.widths if width.after != width.before]
    assert changed
    assert all(width.after % multiple == 0 and width.after >= 8 for width in changed)
    assert all(width.before >= 2 * multiple and width.after < width.before for width in changed)


def test_the_parameters_are_counted_and_the_json_is_plain(mobilenet: nn.Module) -> None:
    pruned = prune(mobilenet, 0.3, SPEC.input_shape)
    assert pruned.parameters_before == cost(SPEC).params
    assert pruned.parameters_after == sum(p.numel() for p in pruned.module.parameters())
    told = pruned.to_json()
    assert told["params_after"] < 0.55 * told["params_before"]
    assert told["widths"][1] == {"layer": "blocks.0.0.conv_dw", "before": 8, "after": 8}


def test_the_given_module_stays_as_it_is_and_the_result_repeats(mobilenet: nn.Module) -> None:
    before = copy.deepcopy(mobilenet.state_dict())
    one, other = (prune(mobilenet, 0.5, SPEC.input_shape) for _ in range(2))
    assert mobilenet.training
    assert all(torch.equal(before[key], value) for key, value in mobilenet.state_dict().items())
    ours, theirs = one.module.state_dict(), other.module.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_weights_of_another_pruning_of_the_same_network_load(mobilenet: nn.Module) -> None:
    trained = prune(mobilenet, 0.5, SPEC.input_shape).module
    for value in trained.parameters():
        value.data.add_(1)
    again = prune(mobilenet, 0.5, SPEC.input_shape).module
    again.load_state_dict(trained.state_dict())
    x = torch.ones(SPEC.input_shape)
    assert torch.equal(again(x), trained(x))


def test_channels_that_do_nothing_leave_without_a_trace() -> None:
    module = entangled()
    silence((module.stem, module.project), [0, 3, 4, 5, 8, 9, 13, 15])
    silence((module.expand, module.depthwise, module.excite), list(range(1, 32, 2)))
    silence((module.squeeze, module.side), list(range(3, 11)))
    silence((module.hidden,), list(range(8)))
    pruned = prune(module, 0.5, SHAPE)
    assert widths(pruned) == {
        **dict.fromkeys(("stem.0", "project.0", "squeeze", "side.0"), (16, 8)),
        **dict.fromkeys(("expand.0", "depthwise.0", "excite"), (32, 16)),
        "hidden": (24, 16),
    }
    x = torch.randn(4, *SHAPE[1:])
    torch.testing.assert_close(pruned.module(x), module(x), rtol=1e-5, atol=1e-5)


def test_the_smallest_l1_norm_over_the_whole_group_decides() -> None:
    first, second = nn.Conv2d(3, 16, 1, bias=False), nn.Conv2d(16, 4, 1, bias=False)
    first.weight.data[:8], first.weight.data[8:] = 1, 0.95  # L1 3 and 2.85
    second.weight.data[:] = 0.7  # L1 2.8, squares 1.96
    second.weight.data[:, :8] = 0
    second.weight.data[0, :8] = 2  # L1 2, squares 4
    pruned = prune(nn.Sequential(first, nn.ReLU(), second), 0.5, SHAPE)
    assert torch.equal(pruned.module[0].weight, first.weight[8:])
    assert torch.equal(pruned.module[2].weight, second.weight[:, 8:])
    assert pruned.widths == (Width("0", 16, 8),)


def test_all_channels_are_judged_before_the_first_leaves() -> None:
    """The channels 8 to 15 of the first layer read like the weakest once the second lost half."""
    first, second = nn.Conv2d(3, 16, 1, bias=False), nn.Conv2d(16, 16, 1, bias=False)
    last = nn.Conv2d(16, 4, 1, bias=False)
    for layer in (first, second, last):
        layer.weight.data.fill_(1)
    second.weight.data[:8, 8:] = 0.1
    second.weight.data[8:, :8] = 0.2
    pruned = prune(nn.Sequential(first, second, last), 0.5, SHAPE)
    kept_rows, kept_columns = slice(8, None), slice(None, 8)
    assert torch.equal(pruned.module[1].weight, second.weight[kept_rows, kept_columns])


def test_grouped_convolutions_and_outputs_of_convolutions_stay() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.Conv2d(32, 32, 3, groups=2),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(32, 20, 1),
        nn.Flatten(),
    )
    pruned = prune(module, 0.5, SHAPE)
    assert pruned.widths == (Width("2", 32, 16),)
    assert pruned.module(torch.zeros(2, 3, 16, 16)).shape == (2, 20)


def test_a_flattened_picture_loses_whole_channels() -> None:
    module = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 9, 4))
    silence((module[0],), list(range(0, 16, 2)))
    pruned = prune(module, 0.5, (1, 3, 3, 3))
    x = torch.randn(2, 3, 3, 3)
    torch.testing.assert_close(pruned.module(x), module(x))
    assert pruned.module[3].in_features == 8 * 9


def test_frozen_weights_and_disabled_gradients_do_not_matter(mobilenet: nn.Module) -> None:
    expected = prune(mobilenet, 0.3, SPEC.input_shape).module.state_dict()
    mobilenet.requires_grad_(False)
    with torch.no_grad():
        found = prune(mobilenet, 0.3, SPEC.input_shape).module.state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("ratio", [0.0, -0.3, 0.91, 1.0, 30.0, float("nan"), float("inf")])
def test_ratios_out_of_range_are_refused(mobilenet: nn.Module, ratio: float) -> None:
    with pytest.raises(UsageError, match="pruning ratio") as caught:
        prune(mobilenet, ratio, SPEC.input_shape)
    assert "0.3" in caught.value.hint


def test_widths_have_a_multiple() -> None:
    with pytest.raises(UsageError, match="multiples of 0"):
        Rule(multiple=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(mobilenet: nn.Module, value: float) -> None:
    mobilenet.state_dict()["blocks.1.0.bn2.running_var"][2] = value
    with pytest.raises(InputError, match=r"blocks\.1\.0\.bn2\.running_var"):
        prune(mobilenet, 0.3, SPEC.input_shape)


def test_a_network_that_is_as_narrow_as_it_gets_is_refused(mobilenet: nn.Module) -> None:
    narrowest = prune(mobilenet, 0.9, SPEC.input_shape).module
    narrowest = prune(narrowest, 0.9, SPEC.input_shape).module
    with pytest.raises(UsageError, match="nothing to prune") as caught:
        prune(narrowest, 0.9, SPEC.input_shape)
    assert "--alpha" in caught.value.hint
    with pytest.raises(UsageError, match="nothing to prune"):
        prune(nn.Sequential(nn.Flatten(), nn.Linear(3, 64)), 0.5, (1, 3, 1, 1))


def test_a_ratio_too_small_for_any_layer_says_which_would_do(mobilenet: nn.Module) -> None:
    with pytest.raises(UsageError, match="removes no channel") as caught:
        prune(mobilenet, 0.015, SPEC.input_shape)
    assert "256" in caught.value.hint
    assert "0.016" in caught.value.hint
    assert prune(mobilenet, 0.0161, SPEC.input_shape).reached > 0


def test_without_torch_pruning_it_is_named(
    mobilenet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if "pruning" in name else object())
    with pytest.raises(MissingToolError, match="torch_pruning") as caught:
        prune(mobilenet, 0.3, SPEC.input_shape)
    assert "pip install" in caught.value.hint


def float_graph(module: nn.Module) -> Graph:
    return onnx_graph.read(torch_onnx.export(module, SPEC.input_shape))


def test_a_pruned_network_converts_like_a_whole_one_and_is_exact_in_int8(
    mobilenet: nn.Module,
) -> None:
    tflm = pytest.importorskip("edgekit.emulate.tflm")
    pytest.importorskip("tflite_micro", reason="needs edgekit[emulate]")
    pruned = prune(mobilenet, 0.3, SPEC.input_shape).module
    whole, narrow = float_graph(mobilenet), float_graph(pruned)
    assert graph_cost(whole).macs == cost(SPEC).macs
    assert 0.4 < graph_cost(narrow).macs / graph_cost(whole).macs < 0.6
    pixels = np.random.default_rng(0).uniform(-1, 1, (24, 32, 32, 3)).astype(np.float32)
    graph, reference = (
        quantize(g, calibrate(g, [pixels]), softmax=False, input_range=(-1, 1))
        for g in (narrow, whole)
    )
    assert Counter(type(n.op) for n in graph.nodes) == Counter(type(n.op) for n in reference.nodes)
    quantization = graph.tensors[graph.inputs[0]].quantization
    assert quantization is not None
    integers = np.clip(
        np.round(pixels / quantization.scale) + quantization.zero_point, -128, 127
    ).astype(np.int8)
    (ours,) = run(graph, [integers])
    (theirs,) = tflm.run(tflite_writer.write(graph), [integers])
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) > 4


SIZES = {name: cost(registry.resolve(name, classes=4)).params for name in registry.names()}
SMALLEST = sorted(
    {registry.get(n).family: n for n in sorted(SIZES, key=SIZES.__getitem__, reverse=True)}.values()
)


@pytest.mark.slow
@pytest.mark.parametrize("arch", SMALLEST)
def test_every_family_can_be_pruned_and_keeps_its_operators(arch: str) -> None:
    spec = registry.resolve(arch, resolution=64, classes=4)
    torch.manual_seed(0)
    module = build(spec)
    pruned = prune(module, 0.3, spec.input_shape)
    assert pruned.reached == pytest.approx(0.3, abs=0.05)
    changed = [width for width in pruned.widths if width.after != width.before]
    assert all(width.after % 8 == 0 for width in changed)
    whole, narrow = (
        onnx_graph.read(torch_onnx.export(part, spec.input_shape))
        for part in (module, pruned.module)
    )
    assert [type(n.op) for n in narrow.nodes] == [type(n.op) for n in whole.nodes]
    # A little less in ResNeXt, whose grouped convolutions keep their channels.
    assert graph_cost(narrow).macs < 0.75 * graph_cost(whole).macs
