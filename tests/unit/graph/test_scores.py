import pytest
from support.graphs import GraphBuilder, convnet
from support.networks import features, float_ends, float_pictures, keyword_spotter, two_by_two

from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.scores import ends_in_softmax


def softmax_of(shape: tuple[int, ...]) -> Graph:
    b = GraphBuilder()
    return b.build(b.add(ops.Softmax(), b.input("x", shape)))


def with_reshape() -> Graph:
    b = GraphBuilder()
    return b.build(b.flatten(b.add(ops.Softmax(), b.input("x", (1, 1, 1, 4)))))


def softmax_in_the_middle() -> Graph:
    b = GraphBuilder()
    return b.build(b.fully_connected(b.add(ops.Softmax(), b.input("x", (1, 4))), 3))


@pytest.mark.parametrize(
    "graph",
    [convnet(), convnet(quantized=False), keyword_spotter(), float_pictures(), with_reshape()],
    ids=lambda graph: graph.name,
)
def test_classifiers_are_recognized(graph: Graph) -> None:
    assert ends_in_softmax(graph)


@pytest.mark.parametrize(
    "graph",
    [
        two_by_two(),
        float_ends(),
        features(),
        softmax_in_the_middle(),
        softmax_of((1, 8, 8, 4)),  # a class for each pixel
        softmax_of((1, 1)),
    ],
    ids=lambda graph: graph.name,
)
def test_other_networks_are_not_taken_for_classifiers(graph: Graph) -> None:
    assert not ends_in_softmax(graph)
