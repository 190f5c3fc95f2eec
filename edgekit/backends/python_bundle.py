"""What the bundles for Linux boards share: `run.py`, its requirements and its README.

A deployment enters, files leave, rendered from `firmware_templates/<backend>/`, whose templates
extend those in `firmware_templates/python/`.
"""

from __future__ import annotations

from typing import Any

from edgekit import __version__
from edgekit.backends.base import MODEL_FILE, Deployment, ends_table, golden_files, shared_files
from edgekit.emit.render import render
from edgekit.emit.text import python_string
from edgekit.graph.ir import Tensor


def python_files(
    backend: str, deployment: Deployment, values: dict[str, Any] | None = None
) -> dict[str, bytes]:
    """The files every Linux bundle holds.

    Args:
        backend: folder of its templates.
        deployment: what to deploy.
        values: what its own templates use besides.
    """
    values = {**_values(deployment), **(values or {})}
    return {
        **shared_files(deployment),
        **golden_files(deployment.golden),
        "run.py": render(f"{backend}/run.py", values),
        "README.md": render(f"{backend}/README.md", values),
        "requirements.txt": render("python/requirements.txt", values),
    }


def _values(deployment: Deployment) -> dict[str, Any]:
    """What the templates use. `p` is None where the network reads no pictures."""
    inputs, outputs = deployment.inputs, deployment.outputs
    has_classes = deployment.classes is not None
    return {
        "name": deployment.title,
        "board": deployment.board.name,
        "version": __version__,
        "p": deployment.preprocessing,
        "inputs": inputs,
        "outputs": outputs,
        "ends_table": ends_table(deployment),
        "input_rows": list(map(_row, inputs)),
        "output_rows": list(map(_row, outputs)),
        "has_classes": has_classes,
        "has_values": not has_classes or len(outputs) > 1,
        "input_example": "samples.npz" if len(inputs) > 1 else "samples.npy",
        "output_suffix": ".npz" if len(outputs) > 1 else ".npy",
        "output_example": "outputs.npz" if len(outputs) > 1 else "outputs.npy",
        "classes": deployment.classes,
        "has_scaled_inputs": any(tensor.quantization for tensor in inputs),
        "vectors": len(deployment.golden),
        "model_file": MODEL_FILE,
        "model_bytes": len(deployment.tflite),
        "has_labels": deployment.labels is not None,
        "has_onnx": deployment.onnx is not None,
    }


def _row(tensor: Tensor) -> str:
    """The tensor as `run.py` describes it."""
    q = tensor.quantization
    scale, zero_point = (q.scale, q.zero_point) if q else (None, None)
    name, dtype = python_string(tensor.name), python_string(tensor.dtype.value)
    return f"Tensor({name}, {tensor.shape}, {dtype}, {scale}, {zero_point})"
