"""Raspberry Pi: the int8 model, and a `run.py` for files, folders and the camera on LiteRT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.backends.base import Deployment
from edgekit.backends.python_bundle import python_files
from edgekit.graph.ir import Graph


class RaspberryPi:
    """Runs on any of them; nothing to check, the smallest has room for a thousand such models."""

    name = "rpi"
    additions: Mapping[str, str] = {}
    multiple = 8

    def suited(self, graph: Graph) -> Graph:
        """As it is."""
        return graph

    def check(self, deployment: Deployment) -> None:
        """Nothing."""

    def files(self, deployment: Deployment) -> dict[str, bytes]:
        """The bundle."""
        return python_files(self.name, deployment)

    def report(self, deployment: Deployment) -> dict[str, Any]:
        """Nothing to add."""
        return {}


BACKEND = RaspberryPi()
