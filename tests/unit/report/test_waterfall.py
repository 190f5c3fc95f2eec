from xml.etree import ElementTree

import pytest
from support import mlperf_tiny
from support.graphs import GraphBuilder, convnet
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.plan.arena import plan_arena
from edgekit.plan.offline import plan_offline
from edgekit.plan.tflm_memory import TflmBuild
from edgekit.report.svg import Svg
from edgekit.report.waterfall import waterfall

CORTEX_M4 = TflmBuild(kernels="cmsis-nn", simd="dsp", short_enums=True)
SPACE = "{http://www.w3.org/2000/svg}"


def draw(graph: Graph, **options: object) -> str:
    return waterfall(graph, plan_arena(graph, CORTEX_M4), title="toy", **options)  # type: ignore[arg-type]


def texts(picture: str) -> str:
    return "\n".join(e.text or "" for e in ElementTree.fromstring(picture).iter(f"{SPACE}text"))


def rectangles(picture: str) -> dict[str, ElementTree.Element]:
    """By what the pointer shows on them."""
    found = {}
    for element in ElementTree.fromstring(picture).iter(f"{SPACE}rect"):
        title = element.find(f"{SPACE}title")
        if title is not None:
            found[title.text or ""] = element
    return found


def test_every_buffer_is_a_rectangle_over_its_life_at_its_place() -> None:
    graph = convnet()
    plan = plan_arena(graph, CORTEX_M4)
    found = rectangles(draw(graph))
    assert len(found) == len(plan.buffers) + 1  # and the structures
    one, other = (
        (b, found[f"{b.name}: {b.size_bytes:,} bytes at {b.offset:,}"])
        for b in plan.buffers
        if b.name in ("stem", "down") and not b.is_scratch
    )
    wide = [float(e.attrib["width"]) / (b.last - b.first + 1) for b, e in (one, other)]
    tall = [float(e.attrib["height"]) / b.size_bytes for b, e in (one, other)]
    ends = [float(e.attrib["y"]) + tall[0] * b.end for b, e in (one, other)]
    assert wide[0] == pytest.approx(wide[1], rel=0.02)
    assert tall[0] == pytest.approx(tall[1], rel=0.02)
    assert ends[0] == pytest.approx(ends[1], rel=0.02)


def test_the_peak_the_arena_and_the_savings_are_named() -> None:
    graph = read(shared_file("models/vww_96_int8.tflite"))
    before = plan_arena(graph, CORTEX_M4)
    plan = plan_arena(graph, CORTEX_M4, plan_offline(graph, CORTEX_M4))
    picture = waterfall(graph, plan, title="vww", ram_bytes=262_144, unplanned=before)
    said = texts(picture)
    assert "peak: 55,296 bytes at 3 conv_2d" in said
    assert "Arena 82,288 bytes, 18,432 fewer than TFLite Micro's own plan, 31% of" in said
    assert "board RAM" not in said  # too far above to draw
    assert "activation_2/Relu\n36,864" in said


def test_a_board_that_is_nearly_full_is_drawn() -> None:
    graph = mlperf_tiny.image_classification()
    assert "board RAM 65,536 bytes" in texts(draw(graph, ram_bytes=65_536))
    assert "board RAM 32,768 bytes" in texts(draw(graph, ram_bytes=32_768))


def test_what_only_setting_up_takes_is_named() -> None:
    assert "of it only while setting up\n432" in texts(draw(mlperf_tiny.anomaly_detection()))
    assert "setting up" not in texts(draw(convnet()))


def test_a_hundred_operators_are_less_than_100_kb_and_readable() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 16, 16, 8), b.int8(0.1))
    for i in range(100):
        name = f"a/rather/long/path/to/a/node/{i}"
        x = b.conv(x, 8, (3, 3), name=name, quantization=b.int8(0.1))
    picture = draw(b.build(x))
    assert len(picture.encode()) < 100_000
    labels = [f"{i} conv_2d" for i in range(1, 101)]
    assert set(labels) <= set(texts(picture).splitlines())


def test_the_same_plan_gives_the_same_picture() -> None:
    assert draw(convnet()) == draw(convnet())
    assert "prefers-color-scheme:dark" in draw(convnet())


def test_a_graph_without_nodes_is_a_picture_too() -> None:
    b = GraphBuilder()
    graph = b.build(b.input("x", (1, 4), b.int8(0.1)))
    assert "peak: 16 bytes at 0 input" in texts(draw(graph))


@pytest.mark.parametrize("name", ["<script>\"&'", "tab\tand\x00zero", "\ud800", "größe 大"])
def test_names_cannot_break_the_document(name: str) -> None:
    b = GraphBuilder()
    x = b.input(name, (1, 64), b.int8(0.1))
    graph = b.build(b.add(ops.Relu6(), x))
    picture = waterfall(graph, plan_arena(graph, CORTEX_M4), title=name)
    assert ElementTree.fromstring(picture.encode()).attrib["role"] == "img"
    assert "<script" not in picture


def test_numbers_have_at_most_one_decimal() -> None:
    svg = Svg(10, 10.0, "x", "")
    svg.line(1 / 3, 2, 2.04, 1e3, class_="a")
    assert '<line x1="0.3" y1="2" x2="2" y2="1000" class="a"/>' in svg.finish()
