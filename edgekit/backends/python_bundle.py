"""What the bundles for Linux boards share: `run.py`, its requirements and its README.

A deployment enters, files leave, rendered from `firmware_templates/<backend>/`, whose templates
extend those in `firmware_templates/python/`.
"""

from __future__ import annotations

from typing import Any

from edgekit import __version__
from edgekit.backends.base import MODEL_FILE, Deployment, golden_files, shared_files
from edgekit.emit.render import render


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
    quantization = deployment.output.quantization
    assert quantization is not None, "the graph of a deployment is int8"
    return {
        "name": deployment.title,
        "board": deployment.board.name,
        "version": __version__,
        "p": deployment.preprocessing,
        "classes": deployment.classes,
        "model_file": MODEL_FILE,
        "model_bytes": len(deployment.tflite),
        "has_labels": deployment.labels is not None,
        "has_onnx": deployment.onnx is not None,
        "output_scale": quantization.scale,
        "output_zero_point": quantization.zero_point,
    }
