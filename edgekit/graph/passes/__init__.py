"""Rewrites of the float graph that leave its meaning as it is: one file a rewrite.

A float graph enters, a smaller one leaves; the result differs from the input's by float rounding
only. The graph is verified after each pass that changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgekit.graph.ir import Graph
from edgekit.graph.passes.activations import fuse_activations
from edgekit.graph.passes.affine import fold_affine, merge_affine
from edgekit.graph.passes.hard_swish import expand_hard_swish, fuse_hard_swish
from edgekit.graph.passes.identities import drop_identities
from edgekit.graph.passes.means import use_means
from edgekit.graph.passes.pads import fold_pads
from edgekit.graph.verify import verify

__all__ = ["simplify", "without_hard_swish"]

Pass = Callable[[Graph], Graph]

_REPEATED: tuple[Pass, ...] = (
    drop_identities,
    fold_pads,
    fold_affine,
    fuse_activations,
    use_means,
)
_LAST: tuple[Pass, ...] = (merge_affine, fuse_activations)


def simplify(graph: Graph) -> Graph:
    """Apply all passes until nothing changes, then turn what affine maps remain into convolutions.

    Raises:
        InputError, UnsupportedError: the graph is not valid to begin with.
    """
    verify(graph)
    # HARD_SWISH is recognized before the sum inside it is folded into a bias.
    return _applied(_settled(graph, (fuse_hard_swish, *_REPEATED)), _LAST)


def without_hard_swish(graph: Graph) -> Graph:
    """A simplified graph for chips that lack HARD_SWISH; the graph itself if it has none."""
    expanded = _applied(graph, (expand_hard_swish,))
    return graph if expanded is graph else _applied(_settled(expanded, _REPEATED), _LAST)


def _settled(graph: Graph, passes: Sequence[Pass]) -> Graph:
    before = None
    while before is not graph:
        before = graph
        graph = _applied(graph, passes)
    return graph


def _applied(graph: Graph, passes: Sequence[Pass]) -> Graph:
    for rewrite in passes:
        changed = rewrite(graph)
        if changed is not graph:
            verify(changed)
            graph = changed
    return graph
