"""Which layer int8 hurts, and why."""

from __future__ import annotations

import numpy as np
from support.graphs import GraphBuilder, convnet

from edgekit.compress.calibrate import calibrate
from edgekit.compress.diagnose import diagnose, suspects
from edgekit.compress.quantize import quantize
from edgekit.compress.quantized import Quantized
from edgekit.graph.ir import Graph, Tensor

SEEN = np.random.default_rng(0).normal(0, 1, (24, 16, 16, 3)).astype(np.float32)


def quantized(graph: Graph, seen: np.ndarray = SEEN) -> Quantized:
    ranges = calibrate(graph, [seen])
    return Quantized(graph, ranges, quantize(graph, ranges))


def test_noise_piles_up_and_the_first_layer_has_only_its_own() -> None:
    layers = diagnose(quantized(convnet(quantized=False)), SEEN)
    assert [layer.name for layer in layers][:2] == ["stem", "block/depthwise"]
    assert layers[0].isolated_db == layers[0].accumulated_db
    assert all(
        layer.accumulated_db is not None
        and layer.isolated_db is not None
        and layer.accumulated_db < layer.isolated_db + 3
        for layer in layers
    )


def test_clipping_is_named() -> None:
    network = quantized(convnet(quantized=False), SEEN / 4)
    layers = diagnose(network, SEEN)
    assert layers[0].clipped > 1
    assert any("clipped" in sentence for sentence in suspects(layers))


def test_outlier_channels_are_named() -> None:
    b = GraphBuilder(seed=1)
    x = b.conv(b.input("image", (1, 16, 16, 3)), 8, (1, 1), name="layer")
    tensor = b.tensors["layer/weights"]
    data = np.array(tensor.data)
    data[5] *= 100
    b.tensors["layer/weights"] = Tensor.constant("layer/weights", data)
    (layer,) = diagnose(quantized(b.build(x)), SEEN)
    assert layer.outliers[0][0] == 5
    assert "channel 5" in suspects([layer])[0]


def test_threads_do_not_matter() -> None:
    network = quantized(convnet(quantized=False))
    assert diagnose(network, SEEN, threads=2) == diagnose(network, SEEN)
