"""The repair ladder: accuracy repairs from cheap to dear, climbed only as far as needed.

A `Quantized` network, rungs, a judge and a goal enter; the best network leaves, with a `Step` for
each rung that was tried. The judge measures on pictures no repair has seen (the validation split);
a rung that does not help there is taken back, however well it did on the calibration samples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit import extras
from edgekit.compress.quantized import Bench, Quantized
from edgekit.errors import unknown_name
from edgekit.graph.ir import Graph

PTQ = "ptq"
"""The name of the ladder's foot: plain per-channel quantization, no repair."""

# Without a budget in points: what more repair would not be noticed at.
_ENOUGH_DB, _ENOUGH_AGREEMENT = 30.0, 99.0
_NOTABLE_DB = 0.1  # a gain of the SQNR that is not chance
_TOLERATED_DB = 1.0  # a loss of it that clearly better answers make good


@dataclass(frozen=True)
class Score:
    """An integer network against its float origin, on pictures no repair has seen.

    Attributes:
        images: how many.
        sqnr_db: of the logits, or of the output where there are no classes.
        agreement: percent of them where both name the same class; None without classes.
        top1: percent that the integer network names rightly; None without labels.
        drop: percentage points lost to the float network; None without labels.
    """

    images: int
    sqnr_db: float
    agreement: float | None = None
    top1: float | None = None
    drop: float | None = None


@dataclass(frozen=True)
class Goal:
    """When the climb ends: at this drop in points, or, if None, when answers hardly differ."""

    max_drop: float | None = None

    def is_reached(self, score: Score) -> bool:
        """Whether no further rung is needed."""
        if self.max_drop is not None and score.drop is not None:
            return score.drop <= self.max_drop
        agreed = score.agreement is None or score.agreement >= _ENOUGH_AGREEMENT
        return agreed and score.sqnr_db >= _ENOUGH_DB


@dataclass(frozen=True)
class Rung:
    """One repair.

    Attributes:
        name: for `--repair` and the report, lower case with hyphens.
        title: what it does, one line.
        source: the paper.
        repair: (network, bench) -> the repaired network, or None where it has nothing to do.
        on_request: left out of the ladder unless it is asked for by name.
        extra: of edgekit that it needs; where that is not installed, it is left out likewise.
    """

    name: str
    title: str
    source: str
    repair: Callable[[Quantized, Bench], Quantized | None]
    on_request: bool = False
    extra: str | None = None


@dataclass(frozen=True)
class Step:
    """What became of a rung; `score` is None where it had nothing to do."""

    rung: str
    kept: bool
    score: Score | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; JSON has no infinity: the SQNR of equal outputs is None."""
        score = self.score
        sqnr = score.sqnr_db if score and math.isfinite(score.sqnr_db) else None
        return {
            "rung": self.rung,
            "kept": self.kept,
            "measured": score is not None,
            "int8_top1": score.top1 if score else None,
            "drop": score.drop if score else None,
            "agreement": score.agreement if score else None,
            "sqnr_db": sqnr,
            "seconds": round(self.seconds, 3),
        }


def chosen(rungs: Sequence[Rung], names: Sequence[str] | None) -> tuple[Rung, ...]:
    """The rungs asked for by name, in the ladder's order; without names, the whole ladder.

    Raises:
        UsageError: no rung has such a name.
        MissingToolError: one asked for by name needs an extra that is not installed.
    """
    if names is None:
        return tuple(rung for rung in rungs if not rung.on_request and _is_at_hand(rung))
    known = [rung.name for rung in rungs]
    for name in names:
        if name not in known:
            raise unknown_name("repair", name, known)
    found = tuple(rung for rung in rungs if rung.name in names)
    for rung in found:
        if rung.extra is not None:
            extras.require(rung.extra)
    return found


def _is_at_hand(rung: Rung) -> bool:
    return rung.extra is None or not extras.missing(rung.extra)


def climb(
    network: Quantized,
    rungs: Sequence[Rung],
    bench: Bench,
    judge: Callable[[Graph], Score],
    goal: Goal | None,
) -> tuple[Quantized, tuple[Step, ...]]:
    """Try one rung after the other and keep those that help.

    Args:
        network: plainly quantized.
        judge: measures an integer graph.
        goal: where to stop; None tries every rung.
    """
    began = time.perf_counter()
    best = judge(network.integer)
    steps = [Step(PTQ, True, best, time.perf_counter() - began)]
    for count, rung in enumerate(rungs):
        if goal is not None and goal.is_reached(best):
            break
        bench.progress(f"repair: {rung.name}", count, len(rungs))
        began = time.perf_counter()
        repaired = rung.repair(network, bench)
        score = None if repaired is None else judge(repaired.integer)
        kept = score is not None and helps(score, best)
        if repaired is not None and score is not None and kept:
            network, best = repaired, score
        steps.append(Step(rung.name, kept, score, time.perf_counter() - began))
    return network, tuple(steps)


def helps(new: Score, old: Score) -> bool:
    """Whether a repair is worth keeping.

    Answers decide where they differ by more than chance; else the SQNR of the logits, which a few
    hundred pictures tell apart far more sharply than a handful of answers.
    """
    gains = [gain for gain in (_gain(new, old, "drop"), _gain(new, old, "agreement")) if gain]
    if min(gains, default=0) < 0:
        return False
    if max(gains, default=0) > 0:
        return new.sqnr_db >= old.sqnr_db - _TOLERATED_DB
    closer = new.drop is not None and old.drop is not None and max(new.drop, 0) < old.drop
    return new.sqnr_db >= old.sqnr_db + (0 if closer else _NOTABLE_DB)


def _gain(new: Score, old: Score, what: str) -> int:
    """-1, 0 or 1: whether an accuracy is worse, the same up to chance, or better.

    Chance is two standard errors of a difference between networks that answer the same pictures and
    differ where at least one of them disagrees with the float network. Fewer mistakes than the
    float network makes are chance too.
    """
    ours, theirs = getattr(new, what), getattr(old, what)
    if ours is None or theirs is None:
        return 0
    better = max(theirs, 0) - max(ours, 0) if what == "drop" else ours - theirs
    apart = sum(1 - (score.agreement or 0) / 100 for score in (new, old))
    error = 100 * math.sqrt(max(apart, 1 / new.images) / new.images)
    return 0 if abs(better) <= 2 * error else int(math.copysign(1, better))
