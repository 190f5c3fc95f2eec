"""What is said of a firmware: exact or not, where it begins to differ, what it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.chip import firmware
from support.graphs import GraphBuilder
from support.shared import shared_file

from edgekit.convert import tflite_reader
from edgekit.convert.tflite_writer import write
from edgekit.emulate.chip.bench import bench
from edgekit.emulate.chip.emulation import emulate
from edgekit.emulate.chip.firmware import Firmware
from edgekit.emulate.emulation import Emulation, Model
from edgekit.emulate.samples import random_samples, reference_outputs
from edgekit.graph.ops import Activation, Padding
from edgekit.plan import boards


def emulation(made: Firmware, count: int = 3) -> Emulation:
    graph = made.program.graph
    inputs = random_samples(graph, count, 1)
    model = Model(graph, write(graph), inputs, reference_outputs(graph, inputs))
    unknown = np.full(count, -1, np.int64)
    return emulate(model, made, None, inputs, [(inputs, unknown)], count)


def test_a_firmware_that_is_right(made: Firmware) -> None:
    found = emulation(made)
    values = found.to_json()
    assert found.faults == () and values["engine"]["exact"] and values["golden"]["differing"] == 0
    assert values["engine"]["engine"] == "unicorn" and values["layer_samples"] == 1
    assert values["agreement"]["same_outputs"] == values["agreement"]["samples"] == 3
    chip = values["chip"]
    assert chip["ending"]["exit_code"] == 0 and chip["arena_used_bytes"] <= chip["arena_bytes"]
    assert chip["stack_bytes"] < chip["stack_reserved_bytes"] == 4096


@pytest.mark.slow
def test_a_firmware_that_is_wrong_is_wrong_from_a_layer_on(tmp_path: Path) -> None:
    """A kernel that is off by one in one place: only the layers from there on may differ."""
    place = ("ek_add_s8.c", "  } while (ek_next(position, rows));")
    made = firmware(tmp_path, changes={place: place[1] + " output[-1] = (int8_t)(output[-1] ^ 1);"})
    found = emulation(made)
    assert found.outcome.first_difference == 3 and made.program.graph.nodes[3].name == "block/add"
    assert found.outcome.layers[3] is not None
    assert found.outcome.layers[3].differing == found.layer_samples
    assert any("first in layer 3, ADD 'block/add'" in fault for fault in found.faults)
    assert any("ended with code 1" in fault and "FAILED" in fault for fault in found.faults)
    # The host's program is compiled from the true sources.
    assert found.agreement.same_outputs == 3


def test_a_bench_counts_and_compares(made: Firmware) -> None:
    graph = made.program.graph
    values = bench(made, write(graph), samples=2).to_json()
    assert values["bit_exact"] and values["compared_with"][0] == "edgekit"
    assert bool(values["not_compared"]) == (len(values["compared_with"]) == 1)
    assert values["instructions"] == sum(layer["instructions"] for layer in values["layers"])
    assert values["macs"] == sum(layer["macs"] for layer in values["layers"]) > 0
    assert [layer["index"] for layer in values["layers"]] == list(range(len(graph.nodes)))
    assert values["compiler"].startswith("zig cc") and "-O2" in values["flags"]
    assert min(values[f"{what}_bytes"] for what in ("code", "weights", "arena", "stack")) > 0
    assert bench(made, write(graph), samples=2).to_json() == values


@pytest.mark.slow
def test_the_assembly_of_products_in_every_form(tmp_path: Path) -> None:
    """Odd and even steps and channels, groups, dilation, few pixels, outputs that are no fours."""
    b = GraphBuilder("forms", seed=3)
    x = b.input("x", (1, 11, 9, 3), b.int8(0.02, -3))
    relu = {"activation": Activation.RELU, "quantization": b.int8(0.03, -128)}
    x = b.conv(x, 12, (3, 3), stride=(2, 2), **relu)  # 7 steps, a border
    x = b.conv(x, 20, (1, 1), **relu)  # 3 steps, directly
    x = b.conv(x, 33, (3, 3), dilation=(2, 1))  # an odd number of channels, linear
    x = b.conv(x, 30, (1, 1), quantization=b.int8(0.05, 7))  # 33 channels: gathered
    x = b.conv(x, 21, (2, 3), groups=3, padding=Padding.VALID, **relu)
    x = b.conv(x, 8, (5, 3), padding=Padding.VALID)  # one pixel
    graph = b.build(b.fully_connected(b.flatten(x), 7))
    made = firmware(tmp_path, "mps2_an386", graph)
    assert made.program.kernel_names == ("ek_conv_dsp", "ek_dense_dsp")
    assert bench(made, write(graph), samples=3).bit_exact


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("board", ["mps2_an386", "rpi_pico"])
def test_visual_wake_words(board: str, compiler: str, tmp_path: Path) -> None:
    tflite = shared_file("models/vww_96_int8.tflite")
    graph = tflite_reader.read(tflite)
    made = firmware(tmp_path, board, graph, compiler)
    values = bench(made, tflite, samples=2).to_json()
    assert values["bit_exact"] and values["macs"] == 7_489_664
    # Scratch ends with what rounds it up to 16 bytes.
    assert (
        values["arena_bytes"] - 16 < values["arena_used_bytes"] <= values["arena_bytes"] <= 56_000
    )
    assert boards.load(board).core == values["core"]
