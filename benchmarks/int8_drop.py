"""What int8 costs trained networks, by network, seed and way of quantizing; a table and JSON.

Every network is trained (or found in the cache) on the embedded data set and built with `edgekit
build`; accuracies are top-1 on the whole test split, the drop is float minus int8 in points. Of
several seeds the mean drop is given with its 95 % interval (Student's t). The way "tensorflow" is
left out where TensorFlow is not installed.

    python benchmarks/int8_drop.py --network mobilenet_v1 --way ptq --way ladder --seeds 0,1
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np

# Width, side and epochs with which one core trains each within minutes.
NETWORKS = {
    "mobilenet_v1": ("--alpha=0.25", "--resolution=48", "--epochs=8"),
    "mobilenet_v2": ("--alpha=0.35", "--resolution=48", "--epochs=5"),
    "mobilenet_v3_small": ("--alpha=0.5", "--resolution=48", "--epochs=5"),
    "efficientnet_b0": ("--alpha=0.35", "--resolution=32", "--epochs=3"),
    "resnet18": ("--alpha=0.25", "--resolution=32", "--epochs=4"),
}
WAYS = {
    "ptq": (),
    "bias": ("--repair=bias-correction",),
    "ladder": ("--repair", "--max-drop=0"),
    "tensorflow": ("--converter=tensorflow",),
}
_GATE = 6  # exit code: --max-drop was not kept; the report is there all the same
_T95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's, two-sided, by number of values


def built(network: str, way: str, seed: int, threads: int) -> dict[str, Any]:
    """One build's accuracies and repairs."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        command = [sys.executable, "-m", "edgekit", "build", network, *NETWORKS[network]]
        command += [*WAYS[way], "--target=tflm", "--board=nucleo_h743zi", f"--seed={seed}"]
        command += [f"--threads={threads}", "--quiet", "--json", f"--output={out}"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, _GATE):
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    report = json.loads(done.stdout)
    accuracy = report["accuracy"]
    return {
        "network": network,
        "way": way,
        "seed": seed,
        "float": accuracy["float_top1"],
        "int8": accuracy["int8_top1"],
        "drop": accuracy["float_top1"] - accuracy["int8_top1"],
        "sqnr_db": report["fidelity_db"],
        "verified": report["verified"],
        "kept": [step["rung"] for step in report.get("repair", []) if step["kept"]],
        "seconds": report["seconds"],
    }


def summary(found: list[dict[str, Any]]) -> list[str]:
    """A line for each network and way."""
    lines = [f"{'network':20} {'way':11} {'float':>6} {'int8':>6} {'drop':>6}  interval  by seed"]
    for network, way in dict.fromkeys((one["network"], one["way"]) for one in found):
        own = [one for one in found if (one["network"], one["way"]) == (network, way)]
        drops = np.array([one["drop"] for one in own])
        spread = "-"
        if len(own) in _T95:
            spread = f"+-{_T95[len(own)] * drops.std(ddof=1) / np.sqrt(len(own)):.2f}"
        means = [np.mean([one[key] for one in own]) for key in ("float", "int8", "drop")]
        seeds = " ".join(f"{drop:+.2f}" for drop in drops)
        lines.append(
            f"{network:20} {way:11} {means[0]:6.2f} {means[1]:6.2f} {means[2]:+6.2f}  "
            f"{spread:8}  {seeds}"
        )
    return lines


@click.command(help=__doc__.splitlines()[0])
@click.option("--network", "networks", multiple=True, type=click.Choice([*NETWORKS]))
@click.option("--way", "ways", multiple=True, type=click.Choice([*WAYS]))
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--report", type=click.Path(path_type=Path), default=Path("build/int8_drop.json"))
def main(
    networks: tuple[str, ...], ways: tuple[str, ...], seeds: str, threads: int, report: Path
) -> None:
    found = []
    for network in networks or NETWORKS:
        for way in ways or WAYS:
            if way == "tensorflow" and find_spec("tensorflow") is None:
                print("-- tensorflow is not installed: pip install 'edgekit[tensorflow]'")
                continue
            for seed in map(int, seeds.split(",")):
                found.append(built(network, way, seed, threads))
                print(json.dumps(found[-1]), file=sys.stderr)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print("\n".join(summary(found)))


if __name__ == "__main__":
    main()
