"""A bundle as the commands that run it need it: model, contract, labels and golden vectors.

A folder enters; a `Deployed` leaves, every file checked against the manifest. Refused: what is no
bundle, or a damaged one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.backends.base import LABELS_FILE, MODEL_FILE, Golden, read_golden
from edgekit.convert import tflite_reader
from edgekit.emit.bundle import Bundle, read_bundle
from edgekit.errors import InputError
from edgekit.graph.ir import Graph
from edgekit.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Deployed:
    """A bundle, opened.

    Attributes:
        bundle: where it is, and what its manifest says.
        target: the backend it is for.
        board: which board.
        tflite: the integer model.
        graph: the same, read.
        preprocessing: how pictures enter it; None if it reads none.
        labels: one a class; None if nobody named them.
    """

    bundle: Bundle
    target: str
    board: str
    tflite: bytes
    graph: Graph
    preprocessing: Preprocessing | None
    labels: tuple[str, ...] | None

    @property
    def arena_bytes(self) -> int | None:
        """The arena predicted for the board; None if the manifest does not say."""
        memory = self.bundle.provenance.get("memory")
        found = memory.get("arena_bytes") if isinstance(memory, Mapping) else None
        return found if isinstance(found, int) else None

    @property
    def is_folded(self) -> bool:
        """Whether channels that cannot change the outputs were left out."""
        return self.bundle.provenance.get("folded") is True

    def golden(self) -> Golden:
        """The golden vectors.

        Raises:
            InputError: they are missing, damaged, or not the model's.
        """
        golden = read_golden(self.bundle)
        for names, arrays in (
            (self.graph.inputs, golden.inputs),
            (self.graph.outputs, golden.outputs),
        ):
            tensors = [self.graph.tensors[name] for name in names]
            wanted = [(len(golden), *tensor.shape) for tensor in tensors]
            fits = [array.shape for array in arrays] == wanted and all(
                array.dtype == tensor.dtype.numpy
                for array, tensor in zip(arrays, tensors, strict=True)
            )
            if not fits:
                raise InputError(
                    f"The golden vectors in {self.bundle.path} are not of its model's shapes.",
                    hint="Build the bundle again.",
                )
        return golden


def open_bundle(path: Path) -> Deployed:
    """Read and check a bundle.

    Raises:
        InputError: no bundle, or a damaged one.
        UnsupportedError: its model holds what edgekit does not compute.
    """
    bundle = read_bundle(path)
    provenance = bundle.provenance
    tflite = bundle.read(MODEL_FILE)
    contract = provenance.get("preprocessing")
    return Deployed(
        bundle=bundle,
        target=_text(provenance, "target"),
        board=_text(provenance, "board"),
        tflite=tflite,
        graph=tflite_reader.read(tflite),
        preprocessing=None if contract is None else Preprocessing.from_json(contract),
        labels=_labels(bundle) if LABELS_FILE in bundle else None,
    )


def _text(provenance: Mapping[str, Any], key: str) -> str:
    value = provenance.get(key)
    if not isinstance(value, str):
        raise InputError(
            f"The manifest of this bundle does not say its {key}.",
            hint="Build it again with this version of edgekit.",
        )
    return value


def _labels(bundle: Bundle) -> tuple[str, ...]:
    try:
        return tuple(bundle.read(LABELS_FILE).decode("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise InputError(f"{bundle.path / LABELS_FILE} is not UTF-8 text.") from error
