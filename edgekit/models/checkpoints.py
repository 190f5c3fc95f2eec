"""From a checkpoint to a module's weights, strictly.

A file or a state dict enters, and a module that is changed in place; leaves what became of it.
Files of PyTorch are read without running code from them. Names may be those of another
implementation, see `state_names`. Checkpoints that are damaged, not finite, or of another
architecture are refused with an InputError.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekit.errors import InputError
from edgekit.models import registry
from edgekit.models.layers import Shape
from edgekit.models.state_names import (
    BATCH_COUNTER,
    translated,
    unwrapped,
    without_prefixes,
)

_SHOWN = 3  # differences a message names before it counts the others

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Loaded:
    """What became of a checkpoint.

    Attributes:
        note: a sentence for the user.
        new_classifier: whether the classifier had another number of classes, so that the module
            kept its own and needs training.
    """

    note: str
    new_classifier: bool


def load_weights(module: nn.Module, path: str | Path) -> Loaded:
    """Load a file into a module from `module.build`, in place.

    Args:
        module: the classifier for another number of classes is left as it was initialised.
        path: a state dict as .pth, .pt or .bin or .safetensors, bare or as training scripts wrap it
            ("model", "state_dict", averaged weights before others; DataParallel's prefix), in any
            floating-point type.

    Raises:
        InputError: the file is missing, unreadable, holds NaN or infinity, or does not match.
    """
    path = Path(path)
    state, wrapper = read_state(path)
    note = f"Loaded {path.name}"
    return load_state(module, state, str(path), f"{note} ('{wrapper}')" if wrapper else note)


def load_state(module: nn.Module, state: Mapping[str, Any], path: str, note: str) -> Loaded:
    """Load a state dict into a module, in place.

    Args:
        state: tensors or NumPy arrays in any order; names as `state_names` knows them.
        path: of the file it came from, for messages.
        note: what was loaded, the beginning of a sentence.

    Raises:
        InputError: as `load_weights`.
    """
    own = module.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    ours = translated(state, own)
    state = {ours[name]: torch.as_tensor(value) for name, value in state.items()}
    for key in own.keys() - state.keys():
        if key.endswith(BATCH_COUNTER):  # absent from old files; inference ignores it
            state[key] = own[key]
    kept = _classifier_of_other_size(own, state)
    classes = len(state[kept[-1]]) if kept else None
    for key in kept:
        state[key] = own[key]
    _check_match(path, own, state, shapes)
    _check_values(path, own, state)
    module.load_state_dict(state)
    if classes is None:
        return Loaded(f"{note}.", new_classifier=False)
    return Loaded(
        f"{note}; its classifier is for {classes:,} classes, not {len(own[kept[-1]]):,}: "
        "a new one takes its place.",
        new_classifier=True,
    )


def read_state(path: Path) -> tuple[State, str | None]:
    """The state dict in a file, by bare names, and what it was wrapped in.

    Raises:
        InputError: the file is missing, unreadable, or holds no state dict.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint '{path}'.")
    content, wrapper = unwrapped(_content(path))
    named = isinstance(content, dict) and all(isinstance(name, str) for name in content)
    if not named or not content or not all(map(_is_plain, content.values())):
        raise InputError(
            f"'{path}' holds no state dict.",
            hint="Save it with torch.save(model.state_dict(), path).",
        )
    bare = without_prefixes(content)
    return {name: content[original] for name, original in bare.items()}, wrapper


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen kinds on damaged files
        raise InputError(
            f"'{path}' is not a readable checkpoint ({type(error).__name__}).",
            hint="Give a state dict saved as .pth or .safetensors; pickled modules are not read.",
        ) from error


def _is_plain(value: object) -> bool:
    """Whether this is a tensor with its numbers in memory: not sparse, quantized or empty shell."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _classifier_of_other_size(own: State, state: State) -> list[str]:
    """The keys of the last layer if the file's differs from the module's in its outputs only."""
    weight, bias = list(own)[-2:]
    if weight not in state or bias not in state:
        return []
    ours, theirs = own[weight].shape, state[weight].shape
    same_inputs = ours[1:] == theirs[1:] and state[bias].shape == theirs[:1]
    return [weight, bias] if same_inputs and ours != theirs else []


def _check_match(path: str, own: State, state: State, shapes: Mapping[str, Shape]) -> None:
    """Refuse a state dict whose names, shapes or kinds of number differ from the module's.

    Args:
        shapes: by the file's own names, to recognise what it holds.
    """
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
    likely = registry.recognise(shapes)
    more = f"; {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise InputError(
        f"'{path}' does not match the architecture: {'; '.join(wrong[:_SHOWN])}{more}.",
        hint=f"It looks like {likely}." if likely else "It is of no architecture known here.",
    )


def _check_values(path: str, own: State, state: State) -> None:
    for key, value in state.items():
        if not torch.isfinite(value.to(own[key].dtype)).all():
            raise InputError(f"Tensor '{key}' in '{path}' holds NaN or infinity.")
        if key.endswith(".running_var") and (value < 0).any():
            raise InputError(f"Tensor '{key}' in '{path}' holds variances below zero.")
