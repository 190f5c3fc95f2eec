"""The benchmark models, and that no kernel takes more instructions than the committed baseline."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import baseline
import models
import numpy as np
import pytest
from instructions import HERE, tomllib

from edgekit.emulate.samples import random_samples
from edgekit.emulate.toolchain import for_core
from edgekit.errors import MissingToolError
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import Array

SMALL = ("resnet8", "ds_cnn", "dense_autoencoder")
BOARDS = ("mps2_an386", "rpi_pico")


@pytest.mark.parametrize("model", SMALL)
def test_the_models_are_those_of_the_peer_and_use_their_integers(model: str) -> None:
    graph = models.MODELS[model]()
    peer = tomllib.loads((HERE / "peers.toml").read_text("utf-8"))[model]
    assert graph_cost(graph).macs == pytest.approx(peer["macs"], rel=1e-3)
    seen: list[Array] = []
    run(graph, [random_samples(graph, 8, seed=1)[0][:, 0]], lambda name, value: seen.append(value))
    for value in seen[:-1]:  # the last one may be probabilities
        assert len(np.unique(value)) > 24  # eight samples of eight units give 64 values at most
        assert (value == 127).mean() < 0.05


def test_growth_beyond_the_tolerance_fails() -> None:
    before = {"gcc 1": {"net on chip": {"instructions": 1000, "stack_bytes": 100}}}
    now = {"gcc 1": {"net on chip": {"instructions": 1031, "stack_bytes": 90}}, "gcc 2": {}}
    worse, better = baseline.changes(before, now)
    assert worse.fails and str(worse) == "net on chip, gcc 1: instructions 1,000 -> 1,031 (+3.10 %)"
    assert not better.fails


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("unicorn") is None, reason="missing unicorn: pip install 'edgekit[c]'"
)
@pytest.mark.parametrize("compiler", ("zig", "gcc"))
def test_no_kernel_takes_more_than_the_baseline(compiler: str, tmp_path: Path) -> None:
    """Counts are exact for a version of a compiler, on every machine."""
    try:
        title = for_core("cortex-m4", (), compiler).title
    except MissingToolError as error:
        pytest.skip(str(error))
    if title not in baseline.read():
        pytest.skip(f"the baseline knows no {title}")
    report = tmp_path / "report.json"
    command = [sys.executable, str(HERE / "instructions.py"), "--quiet", f"--report={report}"]
    command += [f"--model={name}" for name in SMALL]
    command += [f"--board={name}" for name in BOARDS]
    command.append(f"--compiler={compiler}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads(report.read_text("utf-8"))
    assert len(cells) == len(SMALL) * len(BOARDS)
    assert all(cell["figures"]["instructions"] > 0 for cell in cells)
