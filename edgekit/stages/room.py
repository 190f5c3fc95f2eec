"""Is there room on the board: asked before anybody trains, and what would make room.

An architecture and a board enter; nothing leaves, or a DoesNotFitError whose hint names the largest
alpha, the largest resolution and the least pruning that would fit. Each of them is computed: the
network is outlined, turned into integers with placeholder weights and planned like the real one,
since none of its sizes depends on a weight.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from math import ceil

from edgekit.backends import c
from edgekit.compress.calibrate import Ranges
from edgekit.compress.quantize import quantize
from edgekit.errors import UsageError
from edgekit.graph.ir import Graph
from edgekit.graph.passes.headless import headless
from edgekit.models import registry
from edgekit.models.cost import cost
from edgekit.models.outline import outline
from edgekit.models.spec import ModelSpec
from edgekit.plan.boards import Board
from edgekit.plan.fit import Fit
from edgekit.stages.measure import GOLDEN_SAMPLES
from edgekit.stages.request import Request

_ALPHA_STEPS = 20  # a step of 0.05
_RATIOS = (0.25, 0.5, 0.75)


def require_room(request: Request, spec: ModelSpec, board: Board) -> None:
    """Nothing if the architecture, untrained, fits the board; only the C target is asked.

    Raises:
        DoesNotFitError: says by how many bytes, what weighs most, and what would fit.
        UnsupportedError: an op has no kernel.
    """
    if request.target != "c" or request.is_pruned:  # how narrow pruning leaves it, it tells
        return

    def verdict(graph: Graph) -> Fit:
        return _verdict(request, graph, board)

    fit = verdict(outline(spec))
    if not fit.fits:
        fit.require(tuple(_remedies(spec, verdict)))


def placeholder(request: Request, graph: Graph) -> Graph:
    """The integer network that a float one will become, as to its sizes; its values are not."""
    graph = headless(graph) if request.embedding else graph
    extremes = {name: (-1.0, 1.0) for name, t in graph.tensors.items() if not t.is_constant}
    return quantize(graph, Ranges(extremes, samples=1), softmax=not request.logits)


def _verdict(request: Request, graph: Graph, board: Board) -> Fit:
    """As the bundle's program will be judged, with an estimate of the code."""
    integer = placeholder(request, graph)
    return c.foresee(board, integer, GOLDEN_SAMPLES, request.ram_bytes)


def _remedies(spec: ModelSpec, verdict: Callable[[Graph], Fit]) -> Iterator[str]:
    """The options that would make it fit, each alone or, where none does, two together."""

    def largest(smaller: Iterable[ModelSpec | None]) -> ModelSpec | None:
        """The last of the specs that fits, of ever larger ones; None if none does."""
        known = [one for one in smaller if one is not None]
        first = bisect_left(known, True, key=lambda one: not verdict(outline(one)).fits)
        return known[first - 1] if first else None

    step, base = registry.RESOLUTION_STEP, registry.get(spec.arch)
    alphas = [part / _ALPHA_STEPS for part in range(1, ceil(spec.alpha * _ALPHA_STEPS))]
    narrow = largest(_changed(spec, alpha, spec.resolution) for alpha in alphas)
    small = largest(_changed(spec, spec.alpha, side) for side in range(step, spec.resolution, step))
    if narrow is not None:
        yield f"--alpha {narrow.alpha:g}"
    if small is not None:
        yield f"--resolution {small.resolution} (rho {small.rho:.3f})"
    ratios = _RATIOS if _can_prune() else ()
    ratio = next((ratio for ratio in ratios if verdict(_pruned(spec, ratio)).fits), None)
    if ratio is not None:
        yield f"--prune {ratio:g}"
    if narrow is None and small is None:
        published = sorted(alpha for alpha in base.alphas if alpha < spec.alpha)
        both = [
            largest(_changed(spec, alpha, side) for alpha in published)
            for side in range(step, spec.resolution, step)
        ]
        if fitting := [one for one in both if one is not None]:
            best = max(fitting, key=lambda one: cost(one).macs)
            yield f"--alpha {best.alpha:g} --resolution {best.resolution} (rho {best.rho:.3f})"


def _changed(spec: ModelSpec, alpha: float, resolution: int) -> ModelSpec | None:
    """The architecture at another width and resolution; None where it does not work."""
    try:
        return registry.resolve(
            spec.arch,
            alpha=alpha,
            resolution=resolution,
            classes=spec.classes,
            padding=spec.padding,
        )
    except UsageError:
        return None


def _can_prune() -> bool:
    return all(find_spec(module) for module in ("torch", "torch_pruning"))


def _pruned(spec: ModelSpec, ratio: float) -> Graph:
    """The float graph of an untrained network without so many of its channels."""
    from edgekit.compress.pruning.prune import prune
    from edgekit.compress.pruning.rule import Rule
    from edgekit.convert import onnx_graph, torch_onnx
    from edgekit.models.module import build

    rule = Rule(multiple=c.BACKEND.multiple)
    narrow = prune(build(spec), ratio, spec.input_shape, rule).module
    return onnx_graph.read(torch_onnx.export(narrow, spec.input_shape, spec.arch))
