"""Small firmware on QEMU: the same bits and the same counts as on unicorn; faults; its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.chip import firmware, needs_qemu
from support.graphs import convnet

from edgekit.emulate.chip import qemu_chip
from edgekit.emulate.chip.chip import ChipFaultError
from edgekit.emulate.chip.firmware import chip_for
from edgekit.emulate.chip.inference import Inferences
from edgekit.emulate.chip.qemu_chip import QemuChip
from edgekit.emulate.samples import each, random_samples
from edgekit.errors import MissingToolError, UnsupportedError
from edgekit.graph.execute import run
from edgekit.plan import boards

SAMPLES = list(each(random_samples(convnet(), 2, 3)))


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("board", ["mps2_an386", "mps2_an500", "stm32f405"])
def test_qemu_and_unicorn_count_alike(board: str, compiler: str, tmp_path: Path) -> None:
    made = firmware(tmp_path, board, compiler=compiler)
    found = [Inferences(chip_for(made, engine), made) for engine in ("qemu", "unicorn")]
    for sample in SAMPLES:
        one, other = (inferences.run(sample) for inferences in found)
        assert one.layers == other.layers
        assert (one.stack_bytes, one.arena_bytes) == (other.stack_bytes, other.arena_bytes)
        for ours, theirs in zip(one.outputs, other.outputs, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize(("board", "how"), [("mps3_an547", "exit"), ("stm32f405", "end")])
def test_a_firmware_runs_on_the_whole_board(board: str, how: str, tmp_path: Path) -> None:
    made = firmware(tmp_path, board)
    chip = chip_for(made, "qemu")
    ending = chip.boot()
    assert (ending.how, ending.exit_code) == (how, 0)
    assert "golden vector 4/4: ok" in ending.uart
    inferences = Inferences(chip, made)
    values: dict[str, np.ndarray] = {}
    run(made.program.graph, SAMPLES[0], values.__setitem__)
    for _, written in inferences.activations(SAMPLES[0]):
        for name, value in written.items():
            np.testing.assert_array_equal(values[name], value, err_msg=name)


@pytest.mark.slow
@needs_qemu
def test_a_fault_is_found_in_its_layer(tmp_path: Path) -> None:
    place = ("ek_softmax_s8.c", "  for (int32_t i = 0; i < p->rows; i++)")
    made = firmware(tmp_path, changes={place: "*(volatile int *)0x30000000 = 1;" + place[1]})
    inferences = Inferences(chip_for(made, "qemu"), made)
    with pytest.raises(ChipFaultError, match=r"ek_softmax_s8.* In layer 9, SOFTMAX"):
        inferences.run(SAMPLES[0])


def test_without_qemu_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_chip.shutil, "which", lambda name: None)
    with pytest.raises(MissingToolError, match="qemu-system-arm is not installed") as caught:
        QemuChip(boards.load("mps2_an386"), None, None)  # type: ignore[arg-type]
    assert "apt-get install qemu-system-arm" in caught.value.hint
    with pytest.raises(UnsupportedError, match="no model of the board rpi_pico"):
        QemuChip(boards.load("rpi_pico"), None, None)  # type: ignore[arg-type]
