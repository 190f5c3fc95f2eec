"""The names tensors have in published checkpoints, and what they are called here (no torch).

Enters a state dict as a file holds it; leaves one whose names are the architecture's where the file
is of a known dialect: wrapped by a training script, prefixed by a wrapper module, or with the names
of another implementation. Names that no rule knows stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Averaged weights come first: where a script keeps both, they are what it published.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
_DEEPEST = 3  # wrappers within wrappers
# What DataParallel, `torch.compile` and the averaging of torch.optim put before every name.
_PREFIXES = ("module.", "_orig_mod.")
_COUNTER = "n_averaged"  # of AveragedModel
BATCH_COUNTER = ".num_batches_tracked"

# torchvision's DenseNet files were saved when a layer could still be called "norm.1".
_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")

# https://github.com/lukemelas/EfficientNet-PyTorch -> timm.
_COUNTED_BLOCK = re.compile(r"(_blocks\.(\d{1,4}))\.(\w+)\.(.+)")
_BLOCK = re.compile(r"blocks\.\d+\.\d+(?=\.)")
_STEM_AND_HEAD = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_NOT_EXPANDED = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def unwrapped(content: Any) -> tuple[Any, str | None]:
    """What lies under the names training scripts save a state dict under, and the last of them."""
    found = None
    for _ in range(_DEEPEST):
        if not isinstance(content, dict):
            break
        inner = next((name for name in WRAPPERS if isinstance(content.get(name), dict)), None)
        if inner is None:
            break
        content, found = content[inner], inner
    return content, found


def without_prefixes(names: Iterable[str]) -> dict[str, str]:
    """Bare name -> name in the file, where wrapper modules stand before every one of them."""
    bare = {name: name for name in names if name != _COUNTER}
    for prefix in _PREFIXES * 2:  # they nest in either order
        if bare and all(name.startswith(prefix) for name in bare):
            bare = {name.removeprefix(prefix): original for name, original in bare.items()}
    return bare


def translated(names: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    """Name in the file -> what it is called here.

    Args:
        names: in the file, without prefixes.
        own: the architecture's, in order.
    """
    names = set(names)
    if "_conv_stem.weight" in names:
        blocks = list(dict.fromkeys(match[0] for match in map(_BLOCK.match, own) if match))
        return {name: _from_efficientnet_pytorch(name, names, blocks) for name in names}
    return {name: _DENSE_LAYER.sub(r"\1\2", name) for name in names}


def _from_efficientnet_pytorch(name: str, names: set[str], blocks: list[str]) -> str:
    """timm counts the blocks of each stage; here they are counted through."""
    found = _COUNTED_BLOCK.match(name)
    if found is None:
        layer, dot, suffix = name.partition(".")
        return _STEM_AND_HEAD.get(layer, layer) + dot + suffix
    block, number, layer, suffix = found.groups()
    if int(number) >= len(blocks):
        return name
    parts = _EXPANDED if f"{block}._expand_conv.weight" in names else _NOT_EXPANDED
    return f"{blocks[int(number)]}.{parts.get(layer, layer)}.{suffix}"
