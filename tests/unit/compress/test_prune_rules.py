"""Criteria, scopes and targets of pruning."""

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import Tensor, nn

from edgekit.compress.pruning.prune import Pruned, prune
from edgekit.compress.pruning.rule import Criterion, Rule, Target
from edgekit.compress.pruning.target import prune_to
from edgekit.errors import UsageError
from edgekit.models import registry
from edgekit.models.module import build
from edgekit.models.narrow import narrow

SPEC = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=4)


@pytest.fixture
def mobilenet() -> nn.Module:
    torch.manual_seed(0)
    return build(SPEC)


def two_layers() -> nn.Sequential:
    """Sixteen channels between two layers, all alike."""
    module = nn.Sequential(
        nn.Conv2d(3, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 4, 1)
    )
    for part in (module[0], module[3]):
        part.weight.data.fill_(0.5)
    return nn.Sequential(*module, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def kept(module: nn.Module, criterion: Criterion, batches: object = None) -> Tensor:
    """The first layer's rows that stay when half leave."""
    pruned = prune(module, 0.5, (1, 3, 4, 4), Rule(criterion=criterion), batches)  # type: ignore[arg-type]
    return pruned.module[0].weight.flatten(1)


def test_bn_scale_keeps_the_channels_with_large_factors() -> None:
    module = two_layers()
    module[1].weight.data[:8] = 0.1
    module[0].weight.data[:8] = 9  # which magnitude would keep
    assert (kept(module, "bn-scale") == 0.5).all()
    assert (kept(module, "magnitude") == 9).all()


def test_fpgm_removes_what_others_nearly_repeat() -> None:
    module = two_layers()
    rows = torch.randn(8, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 4
    module[0].weight.data[8:] = rows  # far from each other; the first eight are equal
    assert torch.equal(kept(module, "fpgm"), rows.flatten(1))


def test_taylor_removes_what_the_loss_does_not_feel() -> None:
    module = two_layers()
    module[0].weight.data[::2] = 3  # large, but nobody reads them
    module[3].weight.data[:, ::2] = 0
    module[3].weight.data[:, 1::2] += torch.arange(4.0).reshape(4, 1, 1, 1)
    images = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    batches = [(images, torch.arange(8) % 4)]
    assert (kept(module, "taylor", batches) == 0.5).all()
    assert all(part.grad is None for part in module.parameters())


def test_taylor_needs_pictures(mobilenet: nn.Module) -> None:
    with pytest.raises(UsageError, match="labelled training images"):
        prune(mobilenet, 0.5, SPEC.input_shape, Rule(criterion="taylor"))


def test_global_ranks_all_layers_together_but_closes_none(mobilenet: nn.Module) -> None:
    quiet = mobilenet.get_submodule("blocks.3.0")  # most of its outputs matter little
    for part in (quiet.conv_pw, quiet.bn2):
        part.weight.data[20:] *= 1e-3
    uniform = prune(mobilenet, 0.3, SPEC.input_shape)
    ranked = prune(mobilenet, 0.3, SPEC.input_shape, Rule(scope="global"))
    widths = {width.layer: width.after for width in ranked.widths}
    assert widths["blocks.3.0.conv_pw"] < min(48, widths["blocks.3.1.conv_pw"])
    assert all(w.after % 8 == 0 and w.after >= max(8, 0.1 * w.before - 4) for w in ranked.widths)
    assert ranked.reached == pytest.approx(uniform.reached, abs=0.1)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("macs=0.5", Target("macs", share=0.5)),
        ("ram=40k", Target("ram", most=40_000)),
        ("params=1.5M", Target("params", most=1_500_000)),
        ("flash=65536", Target("flash", most=65_536)),
    ],
)
def test_targets_are_shares_or_numbers(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@pytest.mark.parametrize("text", ["macs", "macs=", "macs=0", "macs=-1", "macs=x", "macs=nan"])
def test_targets_that_are_no_number_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        Target.parse(text)


def test_an_unknown_target_names_the_near_one() -> None:
    with pytest.raises(UsageError, match="pruning target") as caught:
        Target.parse("mac=0.5")
    assert "macs" in str(caught.value) + caught.value.hint


def test_steps_shrink_by_the_same_factor_and_end_at_the_target() -> None:
    target = Target("macs", share=0.25)
    assert [target.part(1_000, step, 2) for step in (1, 2)] == [500, 250]


def parameters(module: nn.Module) -> int:
    return sum(part.numel() for part in module.parameters())


def test_as_little_is_pruned_as_reaches_the_target(mobilenet: nn.Module) -> None:
    tried: list[float] = []

    def cut(ratio: float) -> Pruned:
        tried.append(ratio)
        return prune(mobilenet, ratio, SPEC.input_shape)

    most = parameters(mobilenet) // 2
    found = prune_to(most, "params", parameters, cut)
    assert parameters(found.module) <= most
    assert len(tried) <= 9
    less = prune(mobilenet, found.asked - 1 / 200, SPEC.input_shape)
    assert parameters(less.module) > most


def test_a_target_that_nothing_reaches_says_what_would_be_left(mobilenet: nn.Module) -> None:
    with pytest.raises(UsageError, match="at most 10 parameters") as caught:
        prune_to(10, "params", parameters, lambda ratio: prune(mobilenet, ratio, SPEC.input_shape))
    assert "as narrow as it gets" in str(caught.value)


def test_two_prunings_are_told_as_one(mobilenet: nn.Module) -> None:
    first = prune(mobilenet, 0.25, SPEC.input_shape)
    second = prune(first.module, 0.5, SPEC.input_shape)
    both = first.then(second)
    assert both.parameters_before == parameters(mobilenet)
    assert both.parameters_after == parameters(second.module)
    assert [(w.before, w.after) for w in both.widths] == [
        (whole.before, cut.after) for whole, cut in zip(first.widths, second.widths, strict=True)
    ]


@pytest.mark.parametrize("arch", ["mobilenet_v1", "mobilenet_v3_small", "resnet8", "densenet121"])
def test_a_pruned_network_is_rebuilt_from_its_weights_alone(arch: str) -> None:
    spec = registry.resolve(arch, alpha=0.5, resolution=32, classes=4)
    torch.manual_seed(0)
    pruned = prune(build(spec), 0.4, spec.input_shape, Rule(multiple=4)).module
    again = build(spec)
    narrow(again, pruned.state_dict())
    again.load_state_dict(pruned.state_dict())
    images = torch.randn(2, *spec.input_shape[1:], generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.eval()(images), pruned(images))


def test_another_number_of_classes_is_no_pruning(mobilenet: nn.Module) -> None:
    pruned = prune(mobilenet, 0.4, SPEC.input_shape).module
    other = build(registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=7))
    narrow(other, pruned.state_dict())
    assert other.classifier.out_features == 7
    assert other.classifier.in_features == pruned.classifier.in_features
