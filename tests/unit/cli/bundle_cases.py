"""Small bundles for the commands that run one, and the commands themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.testing import CliRunner
from PIL import Image
from support.deployments import deployment

from edgekit.backends.base import Deployment, golden_files, shared_files
from edgekit.emit.bundle import write_bundle

BOARDS = {"tflm": "rpi_pico", "rpi": "raspberry_pi_4", "coral": "coral_usb"}


def bundle(
    folder: Path, kind: str, made: Deployment | None = None, **provenance: Any
) -> tuple[Path, Deployment]:
    """A bundle without the target's sources: what runs it needs the model and the manifest."""
    made = made or deployment(BOARDS[kind])
    contract = made.preprocessing
    known: Mapping[str, Any] = {
        "target": kind,
        "board": made.board.id,
        "preprocessing": contract.to_json() if contract else None,
        "memory": {"arena_bytes": made.arena.arena_bytes},
        "seed": 0,
    }
    files = {**shared_files(made), **golden_files(made.golden)}
    return write_bundle(folder, files, provenance={**known, **provenance}), made


def invoke(command: click.Command, *args: str | Path) -> Any:
    """Run a command in this process; an EdgekitError is raised."""
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def report(command: click.Command, *args: str | Path) -> dict[str, Any]:
    """What a command prints with --json."""
    found: dict[str, Any] = json.loads(invoke(command, *args, "--json", "--quiet").stdout)
    return found


def save_pictures(folder: Path, pixels: np.ndarray, *names: str) -> None:
    """PNG files of uint8 (n, height, width, channels)."""
    for name, picture in zip(names, pixels, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
