"""What a network costs, layer by layer, and how its cost grows with the two multipliers.

A graph (read from a file, or the outline of an architecture) enters, or an architecture with lists
of multipliers; plain values for scripts leave, and from those the tables a person reads and a plot.
Sizes are those of the int8 model; no training is needed to know them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekit.compress.calibrate import Ranges
from edgekit.compress.quantize import quantize
from edgekit.convert import tflite_writer
from edgekit.errors import EdgekitError
from edgekit.graph import ops
from edgekit.graph.cost import node_cost
from edgekit.graph.ir import Graph, Node
from edgekit.models import registry
from edgekit.models.cost import cost
from edgekit.models.outline import outline
from edgekit.models.spec import ModelSpec
from edgekit.plan.arena import plan_arena
from edgekit.plan.offline import plan_offline
from edgekit.plan.tflm_memory import TflmBuild

Plain = Mapping[str, Any]
# Most microcontrollers that run networks have a Cortex-M with DSP instructions.
_BUILD = TflmBuild(kernels="cmsis-nn", simd="dsp", short_enums=True)


def analyse(graph: Graph, name: str) -> dict[str, Any]:
    """The layers of a graph and its totals.

    Args:
        graph: float32 or integer; of a float one the int8 sizes are given.
        name: for texts.

    Returns:
        "layers": one entry a node: name, op, input and output shapes, params, macs, the bytes of
        the int8 activations read and written, and, where a depthwise convolution is followed by a
        pointwise one, the share of the full convolution's MACs that both together take,
        (K^2 + N) / (N K^2) (Howard et al. 2017, section 3.1).
    """
    rows = [_row(graph, node) for node in graph.nodes]
    return {
        "name": name,
        "layers": rows,
        "params": sum(row["params"] for row in rows),
        "macs": sum(row["macs"] for row in rows),
        "largest_activation_bytes": max(r["input_bytes"] + r["output_bytes"] for r in rows),
    }


def _row(graph: Graph, node: Node) -> dict[str, Any]:
    cost = node_cost(graph, node)
    activations = [t for t in graph.inputs_of(node) if not t.is_constant]
    return {
        "name": node.name,
        "op": node.op.tflite_name,
        "inputs": [list(tensor.shape) for tensor in activations],
        "outputs": [list(tensor.shape) for tensor in graph.outputs_of(node)],
        "params": cost.parameters,
        "macs": cost.macs,
        "input_bytes": sum({t.name: t.elements for t in activations}.values()),
        "output_bytes": sum(tensor.elements for tensor in graph.outputs_of(node)),
        "separable_share": _separable_share(graph, node),
    }


def _separable_share(graph: Graph, node: Node) -> float | None:
    """Of a depthwise convolution before a pointwise one: their MACs over the full convolution's."""
    if not isinstance(node.op, ops.DepthwiseConv2D):
        return None
    following = [n for n in graph.consumers(node.outputs[0]) if isinstance(n.op, ops.Conv2D)]
    _, height, width, _ = graph.tensors[node.inputs[1]].shape
    if len(following) != 1 or height * width == 1:
        return None
    outputs, *window, _ = graph.tensors[following[0].inputs[1]].shape
    if window != [1, 1]:
        return None
    return (height * width + outputs) / (outputs * height * width)


def analyse_spec(spec: ModelSpec) -> dict[str, Any]:
    """The same of an architecture; parameters are the trainable ones, BatchNorm's included."""
    graph = outline(spec)
    return {
        **analyse(graph, _named(spec)),
        "params": cost(spec).params,
        **sizes(graph),
    }


def sizes(graph: Graph) -> dict[str, Any]:
    """The int8 model's bytes and the arena that TFLite Micro needs for it on a Cortex-M4."""
    extremes = {name: (-1.0, 1.0) for name, t in graph.tensors.items() if not t.is_constant}
    integer = quantize(graph, Ranges(extremes, samples=1))
    arena = plan_arena(integer, _BUILD, plan_offline(integer, _BUILD))
    return {
        "int8_bytes": len(tflite_writer.write(integer)),
        "operators": len(integer.nodes),
        "arena_bytes": arena.arena_bytes,
    }


def _named(spec: ModelSpec) -> str:
    scaled = "" if spec.phi is None else f" phi {spec.phi:g}"
    return f"{spec.arch}{scaled}, alpha {spec.alpha:g}, at {spec.resolution}x{spec.resolution}"


def sweep(
    arch: str,
    alphas: Sequence[float],
    rhos: Sequence[float],
    classes: int,
    phi: float | None = None,
) -> list[Plain]:
    """One entry a width and resolution that the architecture allows, widest first.

    Args:
        phi: compound coefficient of an architecture that is scaled by one.

    Raises:
        UsageError: the architecture is unknown, or no combination works.
    """
    registry.get(arch)
    found: dict[tuple[float, int], Plain] = {}
    refused: EdgekitError | None = None
    for alpha in sorted(alphas, reverse=True):
        for rho in sorted(rhos, reverse=True):
            try:
                spec = registry.resolve(arch, alpha, rho, classes=classes, phi=phi)
            except EdgekitError as error:
                refused = error
                continue
            if (alpha, spec.resolution) not in found:  # of small pictures rhos give the same
                found[alpha, spec.resolution] = _point(spec)
    if not found and refused is not None:
        raise refused
    return list(found.values())


def _point(spec: ModelSpec) -> Plain:
    total = cost(spec)
    return {
        "arch": spec.arch,
        **({} if spec.phi is None else {"phi": spec.phi}),
        "alpha": spec.alpha,
        "rho": spec.rho,
        "resolution": spec.resolution,
        "params": total.params,
        "macs": total.macs,
        **sizes(outline(spec)),
    }


def analysis_text(report: Plain) -> Iterator[str]:
    """The lines a person reads."""
    yield f"{report['name']}: {report['params']:,} parameters, {report['macs']:,} MACs"
    if "int8_bytes" in report:
        yield (
            f"int8: {report['int8_bytes']:,} bytes in {report['operators']} operators; "
            f"TFLite Micro's arena on a Cortex-M4: {report['arena_bytes']:,} bytes (predicted)"
        )
    yield ""
    yield f"{'layer':<26}{'operator':<19}{'output':>14}{'params':>10}{'MACs':>14}{'RAM':>10}  share"
    for row in report["layers"]:
        share = row["separable_share"]
        shown = "" if share is None else f"{100 * share:.1f} %"
        output = "x".join(map(str, row["outputs"][0][1:]))
        ram = row["input_bytes"] + row["output_bytes"]
        yield (
            f"{_short(row['name'], 25):<26}{row['op']:<19}{output:>14}{row['params']:>10,}"
            f"{row['macs']:>14,}{ram:>10,}  {shown}"
        ).rstrip()
    yield ""
    yield "RAM: int8 bytes that the layer reads and writes. share: MACs of a depthwise separable"
    yield "block over those of a full convolution, (K^2 + N) / (N K^2)."


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[1 - width :]}"


def sweep_text(points: Sequence[Plain]) -> Iterator[str]:
    """The family as a table."""
    yield (
        f"{'alpha':>6}{'rho':>8}{'resolution':>12}{'params':>13}{'MACs':>16}"
        f"{'int8 bytes':>13}{'arena':>12}"
    )
    for point in points:
        yield (
            f"{point['alpha']:>6g}{point['rho']:>8g}{point['resolution']:>12}"
            f"{point['params']:>13,}{point['macs']:>16,}{point['int8_bytes']:>13,}"
            f"{point['arena_bytes']:>12,}"
        )
    yield ""
    yield "arena: TFLite Micro's on a Cortex-M4, predicted, with edgekit's memory plan."
