"""How long the commands take that only look something up, each as a process of its own.

Leaves JSON on stdout: for each command the fastest and the median of some runs in seconds, and its
limit. Ends with exit code 1 where the fastest run is over the limit. Wants a quiet machine.

    python benchmarks/startup.py [RUNS]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 10
# Arguments -> seconds that a person does not feel as waiting.
LIMITS = {
    ("--help",): 0.3,
    ("build", "--help"): 0.5,
    ("models",): 1.0,
    ("boards",): 1.0,
}


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall-clock time of one run."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "edgekit", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    """Measure every command; the exit code."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    results = {}
    for arguments, limit in LIMITS.items():
        seconds(arguments)  # fills the file cache
        measured = [seconds(arguments) for _ in range(runs)]
        results["edgekit " + " ".join(arguments)] = {
            "fastest": round(min(measured), 3),
            "median": round(statistics.median(measured), 3),
            "limit": limit,
        }
    print(json.dumps(results, indent=2))
    return int(any(result["fastest"] > result["limit"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
