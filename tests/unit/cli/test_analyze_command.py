"""`edgekit analyze`: what a network costs, without training it."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.graphs import convnet

from edgekit.cli.analyze import analyze
from edgekit.convert.tflite_writer import write
from edgekit.errors import EdgekitError, InputError, UsageError

SMALL = ("mobilenet_v1", "--alpha", "0.25", "--resolution", "32", "--classes", "10")


def run(*args: str | Path) -> Result:
    done = CliRunner().invoke(analyze, list(map(str, args)))
    if isinstance(done.exception, EdgekitError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_an_architecture_has_its_layers_totals_and_int8_sizes() -> None:
    report = json.loads(run(*SMALL, "--json").output)
    assert report["params"] == 215_642  # of the paper's table at 0.25, with ten classes
    assert report["macs"] == sum(row["macs"] for row in report["layers"])
    assert report["operators"] == 30  # the outline's 29 and SOFTMAX
    assert report["params"] > report["int8_bytes"] - 100_000 > 0 and report["arena_bytes"] > 0
    first = report["layers"][0]
    assert (first["op"], first["outputs"]) == ("CONV_2D", [[1, 16, 16, 8]])
    assert first["macs"] == 16 * 16 * 8 * 27


def test_the_share_of_separable_blocks_is_the_papers() -> None:
    report = json.loads(run(*SMALL, "--json").output)
    shares = [row["separable_share"] for row in report["layers"] if row["separable_share"]]
    assert len(shares) == 13
    assert shares[0] == pytest.approx((9 + 16) / (16 * 9))
    assert shares[-1] == pytest.approx(1 / 256 + 1 / 9)


def test_a_file_is_analysed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(write(convnet()))
    report = json.loads(run(path, "--json").output)
    assert len(report["layers"]) == len(convnet().nodes)
    assert "net.tflite" in run(path).output


def test_a_sweep_is_a_table_and_a_picture(tmp_path: Path) -> None:
    options = ("mobilenet_v1", "--sweep", "--alphas", "0.25,0.125", "--rhos", "0.15,0.3")
    picture = tmp_path / "family.svg"
    points = json.loads(run(*options, "--json", "--plot", picture).output)
    assert [(p["alpha"], p["resolution"]) for p in points] == [
        (0.25, 64),
        (0.25, 32),
        (0.125, 64),
        (0.125, 32),
    ]
    assert points[0]["macs"] > points[1]["macs"] and points[0]["arena_bytes"] > 0
    text = ElementTree.fromstring(picture.read_text()).itertext()
    assert {"parameters", "alpha 0.25", "64"} <= set(text)
    assert len(run(*options).output.splitlines()) == 1 + len(points) + 2


def test_compound_scaling_is_analysed_too() -> None:
    report = json.loads(run("efficientnet_b0", "--phi", "1", "--json").output)
    assert (report["params"], report["macs"]) == (9_109_994, 859_853_760)  # docs/scaling.md
    assert "phi 1" in report["name"] and "256x256" in report["name"]
    (point,) = json.loads(
        run("efficientnet_b0", "--phi", "-4", "--sweep", "--rhos", "1", "--json").output
    )
    assert (point["phi"], point["resolution"]) == (-4, 128)


def test_a_resolution_is_swept_once() -> None:
    points = json.loads(run("resnet8", "--sweep", "--json").output)
    assert [(p["alpha"], p["resolution"]) for p in points] == [(1, 32)]


@pytest.mark.parametrize(
    ("args", "kind", "said"),
    [
        (("mobilnet_v1",), UsageError, "mobilnet_v1"),
        (("absent.tflite",), InputError, "absent.tflite cannot be read"),
        (("mobilenet_v1", "--plot", "x.svg"), UsageError, "--plot goes with --sweep"),
        (("mobilenet_v1", "--sweep", "--alpha", "0.5"), UsageError, "--alpha is for one network"),
        (("mobilenet_v1", "--phi", "1"), UsageError, "not scaled by phi"),
        (("net.tflite", "--phi", "1"), UsageError, "--phi is for architectures"),
        (("efficientnet_b0", "--phi", "11"), UsageError, "phi is 11"),
        (("mobilenet_v1", "--sweep", "--alphas", "0.0001"), UsageError, "0.0001"),
    ],
)
def test_mistakes_are_named(args: tuple[str, ...], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        run(*args)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"net\.tflite"):
        run(path)
