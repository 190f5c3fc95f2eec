"""Where networks are cut into blocks."""

from __future__ import annotations

from support.graphs import GraphBuilder, convnet

from edgekit.compress.blocks import blocks
from edgekit.graph import ops
from edgekit.graph.ir import Graph


def cut(graph: Graph) -> list[list[str]]:
    found = blocks(graph, graph.tensors)
    assert [node for block in found for node in block.nodes] == list(graph.nodes)
    assert [block.source for block in found] == ["image", *(b.results[0] for b in found[:-1])]
    return [[node.name for node in block.nodes] for block in found]


def test_separable_layers_stay_together() -> None:
    b = GraphBuilder()
    x = b.conv(b.input("image", (1, 8, 8, 3)), 4, (3, 3), name="stem")
    for name in "ab":
        x = b.conv(b.depthwise(x, (3, 3), name=f"{name}/depthwise"), 4, (1, 1), name=f"{name}/join")
    x = b.fully_connected(b.flatten(x, name="flat"), 2, name="classifier")
    assert cut(b.build(x)) == [
        ["stem", "a/depthwise", "a/join"],
        ["b/depthwise", "b/join"],
        ["flat", "classifier"],
    ]


def test_inverted_residuals_are_blocks() -> None:
    b = GraphBuilder()
    x = b.conv(b.input("image", (1, 8, 8, 3)), 4, (3, 3), name="stem")
    for name in "ab":
        y = b.conv(x, 8, (1, 1), name=f"{name}/widen")
        y = b.conv(b.depthwise(y, (3, 3), name=f"{name}/depthwise"), 4, (1, 1), name=f"{name}/join")
        x = b.add(ops.Add(), x, y, name=f"{name}/add")
    inside = ("widen", "depthwise", "join", "add")
    assert cut(b.build(x)) == [
        ["stem"],
        [f"a/{name}" for name in inside],
        [f"b/{name}" for name in inside],
    ]


def test_what_has_no_weights_joins_what_has() -> None:
    b = GraphBuilder()
    x = b.add(ops.MaxPool2D((2, 2), (2, 2)), b.input("image", (1, 8, 8, 3)), name="pool")
    x = b.conv(b.conv(x, 4, (3, 3), name="a"), 4, (3, 3), name="b")
    assert cut(b.build(b.add(ops.Relu(), x, name="last"))) == [["pool", "a"], ["b", "last"]]


def test_a_block_ends_only_where_it_may() -> None:
    graph = convnet()
    found = blocks(graph, {"block/add"})
    assert [block.results for block in found] == [("block/add",), ("probabilities",)]


def test_several_outputs_end_the_last_block() -> None:
    b = GraphBuilder()
    x = b.conv(b.input("image", (1, 8, 8, 3)), 4, (3, 3), name="stem")
    first, second = b.conv(x, 2, (1, 1), name="first"), b.conv(x, 3, (1, 1), name="second")
    found = blocks(b.build(first, second), b.tensors)
    assert [block.results for block in found] == [("stem",), ("first", "second")]
