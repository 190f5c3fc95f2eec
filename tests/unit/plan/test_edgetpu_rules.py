import os
from pathlib import Path

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet, single_op_graphs

from edgekit.convert.tflite_reader import read
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Quantization
from edgekit.graph.ops import Activation, Opaque
from edgekit.plan import constraints as rules
from edgekit.plan.constraints import OP_RULES, broken_rule, text
from edgekit.plan.partition import MAPPED, SECOND_SUBGRAPH, broken, partition

SHARED = Path(os.environ.get("EDGEKIT_SHARED", Path(__file__).resolve().parents[4] / "shared"))
Q = GraphBuilder.int8(0.1, 3)


def compiled(name: str) -> Graph:
    """A model as Google's compiler left it: one custom op and what stays on the CPU."""
    return read((SHARED / "coral" / f"{name}_edgetpu.tflite").read_bytes(), allow_opaque=True)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v1_0.25_128_quant",
        "mobilenet_v1_0.5_160_quant",
        "deeplab_mobilenet_edgetpu_slim_cityscapes_quant",
    ],
)
def test_verdict_is_that_of_googles_compiler(name: str) -> None:
    source = SHARED / "coral" / f"{name}.tflite"
    if not source.exists():
        pytest.skip(f"{source.name} is not in EDGEKIT_SHARED")
    graph = read(source.read_bytes(), allow_opaque=True)
    verdict = partition(graph)
    nodes = compiled(name).nodes
    on_cpu = [node.op.tflite_name for node in nodes if node.op.tflite_name != "edgetpu-custom-op"]
    assert [p.op for p in verdict.placements if not p.mapped] == on_cpu
    assert verdict.subgraph_count == len(nodes) - len(on_cpu) == 1


def single(op: ops.Op, *shapes: tuple[int, ...], shape: tuple[int, ...] | None = None) -> Graph:
    b = GraphBuilder()
    return b.build(b.add(op, *(b.input(f"x{i}", s, Q) for i, s in enumerate(shapes)), shape=shape))


def with_constant(op: ops.Op, shape: tuple[int, ...], values: object) -> Graph:
    b = GraphBuilder()
    return b.build(b.add(op, b.input("x", shape, Q), b.ints("constant", values)))


def opaque_with_constant(name: str, out: tuple[int, ...]) -> Graph:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 8), Q)
    return b.build(b.add(Opaque(name, 0), x, b.ints("constant", [1]), shape=out))


def float_graph() -> Graph:
    b = GraphBuilder()
    return b.build(b.add(ops.Relu(), b.input("x", (1, 4))))


def float_to_int8() -> Graph:
    b = GraphBuilder()
    x = b.input("x", (1, 4))
    return b.build(b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=Q))


def constant_join(values: int, inputs: int = 1) -> Graph:
    b = GraphBuilder()
    names = [b.input(f"x{i}", (1, 2, 2, 4), Q) for i in range(inputs)]
    data = np.full((1, 2, 2, 4), values, np.int8)
    return b.build(b.add(ops.Concatenation(axis=3), *names, b.constant("c", data, Q)))


def dense(channels: int, batch: int = 1, per_channel: bool = False) -> Graph:
    b = GraphBuilder()
    x = b.input("x", (batch, 8), Q)
    b.fully_connected(x, channels, keep_dims=True)
    if per_channel:
        name = next(n for n in b.tensors if n.endswith("/weights"))
        scales = Quantization.per_channel(np.full(channels, 0.1, np.float32), 0)
        b.constant(name, b.tensors[name].data, scales)
    return b.build()


def conv(**parameters: object) -> Graph:
    b = GraphBuilder()
    b.conv(b.input("x", (1, 8, 8, 4), Q), 4, (3, 3), **parameters)
    return b.build()


def split_batch() -> Graph:
    b = GraphBuilder()
    return b.build(b.add(ops.Split(1), b.ints("axis", [-4]), b.input("x", (1, 4, 4, 8), Q)))


POOL = ops.AveragePool2D((2, 2), (2, 2))
POOL_RELU = ops.MaxPool2D((2, 2), activation=Activation.RELU)
PAD = [[0, 0], [1, 1], [0, 2], [0, 0]]

CASES = [
    (single(POOL, (1, 4, 4, 8)), None),
    (single(POOL, (2, 4, 4, 8)), rules.has_three_dimensions),
    (single(POOL_RELU, (1, 4, 4, 8)), rules.has_no_fused_activation),
    (single(ops.HardSwish(), (1, 4, 4, 8)), rules.is_known),
    (single(Opaque("ARG_MAX", 56), (1, 4, 4, 8), shape=(1, 4, 4)), rules.is_known),
    (float_graph(), rules.is_eight_bit),
    (float_to_int8(), rules.is_eight_bit),
    (conv(), None),
    (conv(dilation=(2, 2)), None),
    (conv(dilation=(1, 2)), rules.has_equal_dilation),
    (conv(groups=2), rules.has_one_group),
    (constant_join(3), None),
    (constant_join(0), rules.joins_constant_only_as_padding),
    (constant_join(3, inputs=2), rules.joins_constant_only_as_padding),
    (dense(4), None),
    (dense(4, per_channel=True), rules.has_one_weight_scale),
    (dense(4, batch=2), rules.has_flat_output),
    (single(ops.Softmax(), (1, 16_000)), None),
    (single(ops.Softmax(), (1, 16_001)), rules.is_short_vector),
    (single(ops.Softmax(), (1, 2, 2, 5)), rules.is_short_vector),
    (with_constant(ops.Mean(), (1, 4, 4, 8), [1, 2]), None),
    (with_constant(ops.Mean(), (1, 4, 4, 8), [-1]), None),
    (with_constant(ops.Mean(), (1, 4, 4, 6), [3]), rules.reduces_channels_by_fours),
    (with_constant(ops.Mean(), (1, 4, 4, 8), [-4]), rules.keeps_batch),
    (with_constant(ops.Pad(), (1, 4, 4, 8), PAD), None),
    (with_constant(ops.Pad(), (1, 4, 4), [[0, 1], [0, 0], [0, 0]]), rules.does_not_pad_batch),
    (split_batch(), rules.splits_other_than_batch),
    (opaque_with_constant("RESIZE_BILINEAR", (1, 40, 40, 8)), None),
    (opaque_with_constant("RESIZE_BILINEAR", (1, 41, 40, 8)), rules.resizes_moderately),
    (single(Opaque("PRELU", 54), (1, 4, 4, 8), shape=(1, 4, 4, 8)), None),
]


@pytest.mark.parametrize(
    ("graph", "expected"), CASES, ids=[f"{i}-{g.nodes[0].name}" for i, (g, _) in enumerate(CASES)]
)
def test_rules(graph: Graph, expected: rules.Rule | None) -> None:
    assert broken_rule(graph, graph.nodes[0]) is expected


def test_weights_that_are_computed_break_a_rule() -> None:
    b = GraphBuilder()
    x, weights = b.input("x", (1, 8), Q), b.input("w", (4, 8), Q)
    graph = b.build(b.add(ops.FullyConnected(), x, weights))
    assert broken_rule(graph, graph.nodes[0]) is rules.has_constant_parameters


def test_every_rule_speaks_in_one_sentence() -> None:
    used = {*rules.GENERAL_RULES, *(rule for of_op in OP_RULES.values() for rule in of_op)}
    for rule in used:
        assert text(rule)[0].isupper() and text(rule).endswith(".")


def relu_chain(*kinds: ops.Op) -> Graph:
    b = GraphBuilder()
    x = b.input("x", (1, 4), Q)
    for kind in kinds:
        x = b.add(kind, x)
    return b.build(x)


def test_everything_after_the_first_unsupported_op_stays_on_the_cpu() -> None:
    graph = relu_chain(ops.Relu(), ops.Relu6(), ops.HardSwish(), ops.Relu(), ops.Relu())
    verdict = partition(graph)
    assert [p.mapped for p in verdict.placements] == [True, True, False, False, False]
    reasons = [p.reason for p in verdict.placements]
    assert reasons[:2] == [MAPPED, MAPPED]
    assert reasons[2] == broken(rules.is_known)
    assert reasons[3:] == [SECOND_SUBGRAPH] * 2
    assert verdict.subgraph_count == 1 and not verdict.is_fully_mapped


def test_ops_before_the_first_supported_one_do_not_end_the_run() -> None:
    verdict = partition(relu_chain(ops.HardSwish(), ops.Relu(), ops.HardSwish(), ops.Relu()))
    assert [p.mapped for p in verdict.placements] == [False, True, False, False]


def test_several_subgraphs_if_allowed() -> None:
    graph = relu_chain(ops.Relu(), ops.HardSwish(), ops.Relu())
    verdict = partition(graph, multiple_subgraphs=True)
    assert [p.mapped for p in verdict.placements] == [True, False, True]
    assert verdict.subgraph_count == 2


def test_nothing_mapped_is_no_subgraph() -> None:
    verdict = partition(relu_chain(ops.HardSwish()))
    assert (verdict.mapped_count, verdict.subgraph_count) == (0, 0)


def test_parameters_beyond_the_cache_are_streamed() -> None:
    graph = convnet()
    parameters = sum(t.size_bytes for t in graph.constants())
    roomy = partition(graph)
    assert roomy.is_fully_mapped
    assert (roomy.parameter_bytes, roomy.off_chip_bytes) == (parameters, 0)
    tight = partition(graph, sram_bytes=2048)
    assert tight.on_chip_bytes + tight.off_chip_bytes == parameters
    assert tight.off_chip_bytes > 0


def test_every_int8_op_gets_a_verdict_with_a_reason() -> None:
    for graph in single_op_graphs(quantized=True).values():
        for placement in partition(graph).to_json()["ops"]:
            assert placement["mapped"] == (placement["reason"] == MAPPED)
            assert placement["reason"]
