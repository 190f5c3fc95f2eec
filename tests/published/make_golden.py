"""Write what the reference implementation of a family computes; see README.md for how to run this.

A family's file here has `REFERENCES`: by "name" or "name ALPHA" a function that builds the network
with torchvision or timm, at 1,000 classes. Needs those, not edgekit. Refuses a network whose logits
would prove nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from published import seeded

RESOLUTION = 64  # odd maps come after it: 64, 32, ..., 2, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="+", help="such as mobilenet_v2")
    for family in parser.parse_args().families:
        references = importlib.import_module(f"published.{family}").REFERENCES
        golden = {name: golden_of(build) for name, build in references.items()}
        path = Path(__file__).with_name(f"{family}.json")
        path.write_text(json.dumps(golden, indent=1) + "\n")
        print(f"{path}: {len(golden)} networks")


def golden_of(build: Callable[[], Any]) -> dict[str, Any]:
    """Names, shapes, parameters and logits of one network."""
    module = build().eval()
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    state = {name: torch.as_tensor(value) for name, value in seeded.weights(shapes).items()}
    module.load_state_dict(state)
    with torch.no_grad():
        logits = module(torch.from_numpy(seeded.images(RESOLUTION))).numpy()
    shown = logits[:, : seeded.LOGITS]
    if not np.isfinite(logits).all() or np.abs(shown[0] - shown[1]).max() < 0.02 * np.ptp(logits):
        raise SystemExit(f"These logits prove nothing: {shown}")
    return {
        "resolution": RESOLUTION,
        "parameters": sum(value.numel() for value in module.parameters()),
        "keys_sha256": seeded.keys_sha256(shapes),
        "logits": [[float(f"{value:.7g}") for value in row] for row in shown],
    }


if __name__ == "__main__":
    main()
