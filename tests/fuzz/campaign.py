"""Many mutants of one kind in a process with bounded memory: `python -m fuzz.campaign onnx 1000`.

A kind of file, a seed and how many mutants enter; counts and the failures leave as one line of
JSON. Mutant n of a seed is always the same file, so a failure is found again by its number. A hang
or a crash ends the process: `run`, in the parent, notes the number and starts another one behind
it. Failing files are kept in the folder that `--keep` names.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import resource
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# A mutant takes milliseconds; the machine may be busy.
HANG_SECONDS = 5.0
_KILLED_SECONDS = 60
_MEMORY_BYTES, _MEMORY_A_BYTE = 2 << 30, 50
_MOST_FAILURES = 20


@dataclass
class Counts:
    """What became of the mutants.

    Attributes:
        foreign: mutants that onnxruntime died of; edgekit runs it in a process of its own.
        peak_bytes: the most memory that one mutant added to the process.
        failures: by place in the program, the first mutant's number, the error and its traceback.
    """

    mutants: int = 0
    accepted: int = 0
    refused: int = 0
    foreign: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    peak_bytes: int = 0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Sum up two runs."""
        for name in ("mutants", "accepted", "refused", "foreign", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("slowest_seconds", "peak_bytes"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for where, failure in other.failures.items():
            self.fail(where, **failure)

    def fail(self, where: str, number: int, error: str, trace: str, times: int = 1) -> None:
        """Note a failure, or one more of those in the same place."""
        new = {"number": number, "error": error, "trace": trace, "times": 0}
        self.failures.setdefault(where, new)["times"] += times


def run(
    kind: str, count: int, *, first: int = 0, seed: int = 0, keep: Path | None = None
) -> Counts:
    """Try `count` mutants in child processes; goes on behind those that crash or hang."""
    total, end = Counts(), first + count
    while first < end and len(total.failures) < _MOST_FAILURES:
        command = [sys.executable, "-m", "fuzz.campaign", kind, str(end - first)]
        command += ["--first", str(first), "--seed", str(seed), "--child"]
        command += ["--keep", str(keep)] if keep else []
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        child = subprocess.run(command, capture_output=True, text=True, env=env)
        lines = child.stdout.splitlines()
        if child.returncode == 0:
            total.add(Counts(**json.loads(lines[-1])))
            break
        reached = int(lines[-1].split()[0]) if lines else first
        told = child.stderr.strip()[-3000:]
        verdicts = Counter(line.split()[-1] for line in lines)
        died = Counts(reached - first + 1, verdicts["accepted"], verdicts["refused"])
        if verdicts["onnxruntime"]:  # what it had begun
            died.foreign = 1
        else:
            died.fail(f"exit code {child.returncode}: {told[:300]}", reached, "it ended", told)
        total.add(died)
        first = reached + 1
    return total


def mutant(kind: str, seed: int, number: int) -> tuple[bytes, Callable[[], bool]]:
    """The file with this number, and what to do with it."""
    from fuzz.kinds import KINDS

    return KINDS[kind](random.Random(f"{kind}:{seed}:{number}"))


def _child(kind: str, first: int, count: int, seed: int, keep: Path | None) -> Counts:
    counts = Counts()
    began = time.perf_counter()
    mutant(kind, seed, first)  # imports, and the corpus
    limit = _mapped_bytes() + _MEMORY_BYTES
    for number in range(first, first + count):
        data, survives = mutant(kind, seed, number)
        print(number, end=" ", flush=True)
        resource.setrlimit(resource.RLIMIT_AS, (limit + _MEMORY_A_BYTE * len(data), -1))
        faulthandler.dump_traceback_later(_KILLED_SECONDS, exit=True)
        before, start = _forget_peak(), time.process_time()
        try:
            accepted = survives()
        except (Exception, RecursionError) as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
            trace = "".join(traceback.format_exception(error))[-3000:]
            counts.fail(where, number, str(error)[:300], trace)
            print("failed", flush=True)
            _keep(keep, kind, number, data)
        else:
            counts.accepted += accepted
            counts.refused += not accepted
            print("accepted" if accepted else "refused", flush=True)
        took = time.process_time() - start
        if took > HANG_SECONDS:
            counts.fail(f"hang of mutant {number}", number, f"{took:.1f} s", "")
            _keep(keep, kind, number, data)
        faulthandler.cancel_dump_traceback_later()
        counts.mutants += 1
        counts.slowest_seconds = max(counts.slowest_seconds, took)
        counts.peak_bytes = max(counts.peak_bytes, _status("VmHWM") - before)
        if len(counts.failures) >= _MOST_FAILURES:
            break
    counts.seconds = time.perf_counter() - began
    return counts


def _keep(folder: Path | None, kind: str, number: int, data: bytes) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.{kind}").write_bytes(data)


def _forget_peak() -> int:
    """Begin a new peak of resident memory; returns what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


def _mapped_bytes() -> int:
    return _status("VmSize")


def _status(key: str) -> int:
    """A size in bytes from Linux's account of this process."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{key}:", 1)[1].split(None, 1)[0]) * 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", help="tflite, onnx or another of fuzz.kinds")
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    where = {"first": chosen.first, "seed": chosen.seed, "keep": chosen.keep}
    if chosen.child:
        counts = _child(chosen.kind, chosen.first, chosen.count, chosen.seed, chosen.keep)
    else:
        counts = run(chosen.kind, chosen.count, **where)
    print(json.dumps(asdict(counts)))


if __name__ == "__main__":
    main()
