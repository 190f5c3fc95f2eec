"""Make the models of `models/` with the real converters; see README.md for how to run this.

The name of a recipe is the name of its file; a family's converter must be installed in the running
interpreter, edgekit need not be. Weights, calibration data and training come from fixed seeds. Runs
on Python 3.7, which old converters need.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

FAMILIES = (
    *("keras_tflite", "old_tensorflow", "keras_qat", "litert_torch_tflite"),
    *("torch_exports", "keras_onnx", "sklearn_onnx", "paddle_onnx"),
)
MODELS = Path(__file__).resolve().parent / "models"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("folder", type=Path, help="where to write the models")
    parser.add_argument("names", nargs="*", help="recipes to make; those in models/ if none")
    parser.add_argument("--all", action="store_true", help="every recipe, large ones too")
    given = parser.parse_args()
    recipes = importlib.import_module(given.family).recipes()
    here = {path.name for path in MODELS.glob("*")}
    names = given.names or [name for name in recipes if given.all or name in here]
    given.folder.mkdir(parents=True, exist_ok=True)
    workers = _worker()
    for name in names:
        try:
            data = workers.submit(make, given.family, name).result()
        except BrokenProcessPool:  # some converters end the process
            print(f"{name}: NOT MADE: the converter crashed")
            workers.shutdown()
            workers = _worker()
        except Exception as error:  # a converter may refuse what another takes
            print(f"{name}: NOT MADE: {type(error).__name__}: {str(error).splitlines()[0]}")
        else:
            (given.folder / name).write_bytes(data)
            print(f"{name}: {len(data)} bytes", flush=True)
    workers.shutdown()


def _worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def make(family: str, name: str) -> bytes:
    """The file that a recipe of a family makes."""
    return importlib.import_module(family).recipes()[name]()


if __name__ == "__main__":
    main()
