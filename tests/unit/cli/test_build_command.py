"""What `edgekit build` prints when it is done."""

from pathlib import Path

from click.testing import CliRunner
from support.graphs import convnet

from edgekit.cli.build import build
from edgekit.convert.tflite_writer import write


def test_a_file_name_is_no_markup(tmp_path: Path) -> None:
    model = tmp_path / "net [red].tflite"
    model.write_bytes(write(convnet()))
    options = ("--model", str(model), "--target", "tflm", "-o", str(tmp_path / "[b]"), "--quiet")
    outcome = CliRunner().invoke(build, options, catch_exceptions=False)
    assert "from net [red].tflite" in outcome.output
    assert outcome.output.endswith(f"bundle: {tmp_path / '[b]'}\n")
