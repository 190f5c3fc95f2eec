"""From a model's description to its `nn.Module`, and from a checkpoint to its weights.

Enters a `ModelSpec`; leaves a module whose state-dict keys are the names in the spec's tree. The
module takes float images (N, 3, H, W), at any resolution, and returns logits (N, classes). Weights
are drawn from torch's global generator: the caller seeds it. Checkpoints that are damaged, not
finite, or of another architecture are refused with an InputError.
"""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekit.errors import InputError
from edgekit.models import registry
from edgekit.models.blocks import Gate, Joined, Named, Residual, Sequence
from edgekit.models.layers import (
    Activation,
    ActivationKind,
    AveragePool,
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Shape,
)
from edgekit.models.modules import (
    GateBlock,
    JoinedBlock,
    ResidualBlock,
    SameConv2d,
    SameMaxPool2d,
)
from edgekit.models.spec import ModelSpec

_ACTIVATIONS: dict[ActivationKind, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "swish": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "hard_sigmoid": nn.Hardsigmoid,
}


def build(spec: ModelSpec) -> nn.Module:
    """The model as a module in training mode, freshly initialised."""
    module = _module(spec.layers, spec.input_shape[1:])
    _initialise(module)
    return module


def _module(layer: Layer, shape: Shape) -> nn.Module:
    """The module of one layer, or of a whole tree, for an input of `shape`."""
    match layer:
        case Sequence() | Residual() | Gate() | Joined():
            return _container(
                layer, {n: _module(part, at) for n, part, at in layer.children(shape)}
            )
        case Conv():
            return _conv(layer, shape[0])
        case BatchNorm():
            return nn.BatchNorm2d(shape[0], eps=layer.epsilon)
        case Activation(kind="sigmoid"):
            return nn.Sigmoid()
        case Activation():
            return _ACTIVATIONS[layer.kind](inplace=True)
        case MaxPool():
            pool = SameMaxPool2d if layer.padding == "same" else nn.MaxPool2d
            padding = 0 if layer.padding == "same" else layer.kernel // 2
            return pool(layer.kernel, layer.stride, padding)
        case AveragePool():
            return nn.AvgPool2d(layer.kernel)
        case GlobalAveragePool():
            pooled = nn.AdaptiveAvgPool2d(1)
            return pooled if layer.keep_dims else nn.Sequential(pooled, nn.Flatten(1))
        case Flatten():
            return nn.Flatten(1)
        case Linear():
            return nn.Linear(shape[0], layer.out)
    raise TypeError(f"No module is known for {layer}.")


def _container(layer: Layer, parts: dict[str, nn.Module]) -> nn.Module:
    def named(layers: Named) -> tuple[str, ...]:
        return tuple(name for name, _ in layers)

    match layer:
        case Residual():
            ways = map(named, (layer.before, layer.body, layer.shortcut, layer.after))
            return ResidualBlock(parts, *ways)
        case Gate():
            return GateBlock(OrderedDict(parts))
        case Joined():
            return JoinedBlock(OrderedDict(parts))
    return nn.Sequential(OrderedDict(parts))


def _conv(layer: Conv, channels: int) -> nn.Module:
    # At stride 1 an odd kernel needs as much on either side: symmetric is SAME, and cheaper.
    asymmetric = layer.padding == "same" and layer.stride > 1
    return (SameConv2d if asymmetric else nn.Conv2d)(
        channels,
        layer.out,
        layer.kernel,
        stride=layer.stride,
        padding=0 if asymmetric else layer.kernel // 2,
        groups=layer.groups_for(channels),
        bias=layer.bias,
    )


def _initialise(module: nn.Module) -> None:
    """Kaiming normal by fan-out (of one group) for convolutions, N(0, 0.01) for matrices.

    He et al. 2015, https://arxiv.org/abs/1502.01852. torch's own fan-out forgets the groups, which
    starts depthwise layers with far too small weights.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = math.prod(part.kernel_size) * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.01)
            nn.init.zeros_(part.bias)


def load_weights(module: nn.Module, path: str | Path) -> str:
    """Load a checkpoint into a module, strictly, and say what was done.

    A classifier for another number of classes is left as it was initialised, and the note says so.

    Args:
        module: from `build`; changed in place.
        path: a state dict as .pth, .pt or .bin (read without running code from it) or .safetensors,
            bare or under "state_dict" or "model".

    Raises:
        InputError: the file is missing, unreadable, holds NaN or infinity, or does not match.
    """
    path = Path(path)
    state = _read_state(path)
    own = module.state_dict()
    for key in own.keys() - state.keys():
        if key.endswith(".num_batches_tracked"):  # absent from old files; inference ignores it
            state[key] = own[key]
    kept = _classifier_of_other_size(own, state)
    for key in kept:
        state[key] = own[key]
    _check_match(path, own, state)
    for key, value in state.items():
        if not torch.isfinite(value.to(own[key].dtype)).all():
            raise InputError(f"Tensor '{key}' in '{path}' holds NaN or infinity.")
        if key.endswith(".running_var") and (value < 0).any():
            raise InputError(f"Tensor '{key}' in '{path}' holds variances below zero.")
    module.load_state_dict(state)
    if kept:
        return f"Loaded {path.name}; its classifier has another number of classes: starts anew."
    return f"Loaded {path.name}."


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"There is no checkpoint '{path}'.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickles that are refused anyway
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen kinds on damaged files
        raise InputError(
            f"'{path}' is not a readable checkpoint ({type(error).__name__}).",
            hint="Give a state dict saved as .pth or .safetensors; pickled modules are not read.",
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(map(_is_plain, state.values())):
        raise InputError(
            f"'{path}' holds no state dict.",
            hint="Save it with torch.save(model.state_dict(), path).",
        )
    return dict(state)


def _is_plain(value: object) -> bool:
    """Whether this is a tensor with its numbers in memory: not sparse, quantized or empty shell."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _classifier_of_other_size(
    own: dict[str, torch.Tensor], state: dict[str, torch.Tensor]
) -> list[str]:
    """The keys of the last layer if the file's differs from the module's in its outputs only."""
    weight, bias = list(own)[-2:]
    if weight not in state or bias not in state:
        return []
    ours, theirs = own[weight].shape, state[weight].shape
    same_inputs = ours[1:] == theirs[1:] and state[bias].shape == theirs[:1]
    return [weight, bias] if same_inputs and ours != theirs else []


def _check_match(path: Path, own: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> None:
    """Refuse a state dict whose names, shapes or kinds of number differ from the module's."""
    wrong = [f"{key} is missing" for key in own if key not in state]
    wrong += [f"{key} is not expected" for key in state if key not in own]
    for key in (key for key in own if key in state):
        ours, theirs = own[key], state[key]
        if ours.shape != theirs.shape:
            wrong.append(f"{key} is {tuple(theirs.shape)}, not {tuple(ours.shape)}")
        elif ours.is_floating_point() != theirs.is_floating_point():
            wrong.append(f"{key} is {theirs.dtype}, not {ours.dtype}")
    if not wrong:
        return
    likely = registry.recognise({key: tuple(value.shape) for key, value in state.items()})
    shown = "; ".join(wrong[:3]) + (f"; {len(wrong) - 3} more" if len(wrong) > 3 else "")
    raise InputError(
        f"'{path}' does not match the architecture: {shown}.",
        hint=f"It looks like {likely}." if likely else "It is of no architecture known here.",
    )
