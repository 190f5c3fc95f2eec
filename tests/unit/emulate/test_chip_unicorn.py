"""Small firmware on unicorn, as compiled by zig: results, counts, memory, faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.chip import firmware
from support.networks import keyword_spotter, mixed_ends

from edgekit.emulate.chip import tally, unicorn_chip
from edgekit.emulate.chip.chip import ChipFaultError
from edgekit.emulate.chip.firmware import Firmware, chip_for, default_engine
from edgekit.emulate.chip.inference import Inferences
from edgekit.emulate.chip.unicorn_chip import UnicornChip
from edgekit.emulate.samples import each, random_samples
from edgekit.errors import UnsupportedError, VerificationError
from edgekit.graph.execute import run
from edgekit.plan import boards


@pytest.fixture(scope="module")
def runs(made: Firmware) -> Inferences:
    return Inferences(chip_for(made), made)


def samples(made: Firmware, count: int = 3) -> list[list[np.ndarray]]:
    return list(each(random_samples(made.program.graph, count, 5)))


def test_a_firmware_runs_from_reset_to_its_end(made: Firmware) -> None:
    ending = chip_for(made).boot()
    assert (ending.how, ending.exit_code) == ("exit", 0)
    assert ending.uart.count("ok") == 4 and ending.uart.endswith("self test: PASSED\r\n")


def test_inferences_are_exact_and_every_layer_can_be_seen(made: Firmware, runs: Inferences) -> None:
    graph = made.program.graph
    for sample in samples(made):
        values: dict[str, np.ndarray] = {}
        expected = run(graph, sample, values.__setitem__)
        found = runs.run(sample)
        for ours, theirs in zip(expected, found.outputs, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        seen = {name: v for _, written in runs.activations(sample) for name, v in written.items()}
        assert list(seen) == [name for node in graph.nodes for name in node.outputs]
        for name, value in seen.items():
            np.testing.assert_array_equal(values[name], value, err_msg=name)


def test_memory_is_what_the_plan_says(made: Firmware, runs: Inferences) -> None:
    found = [runs.run(sample) for sample in samples(made)]
    for one in found:
        assert one.arena_bytes <= made.memory.arena_bytes
        assert 0 < one.stack_bytes < 4096
    # Every buffer of the plan is written by somebody, so the highest one is too.
    assert max(one.arena_bytes for one in found) > made.memory.arena_bytes - 16


def test_instructions_belong_to_the_layers_that_execute_them(
    made: Firmware, runs: Inferences
) -> None:
    found = runs.run(samples(made)[0])
    assert found.instructions == sum(found.layers)
    for step, count in zip(made.program.steps, found.layers, strict=True):
        assert (count > 0) == bool(step.kernels)


def test_python_and_c_count_alike(made: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    native = UnicornChip(made.board, made.image, made.image.symbol("ek_model_invoke"))
    assert isinstance(native._tally, tally.NativeTally)
    monkeypatch.setattr(unicorn_chip, "attach", tally.PythonTally)
    slow = UnicornChip(made.board, made.image, made.image.symbol("ek_model_invoke"))
    counts = [
        [Inferences(chip, made).run(sample).layers for sample in samples(made)]
        for chip in (native, slow)
    ]
    assert counts[0] == counts[1]


@pytest.mark.slow
def test_counts_are_those_of_single_steps(tmp_path: Path) -> None:
    """A Cortex-M0+ has no IT blocks: unicorn announces each of its instructions when it comes."""
    made = firmware(tmp_path, "rpi_pico")
    chip = UnicornChip(made.board, made.image, made.image.symbol("ek_model_invoke"))
    inferences = Inferences(chip, made)
    (sample,) = samples(made, 1)
    counted = inferences.run(sample)
    steps: list[int] = []
    chip._engine.hook_add(4, lambda engine, address, size, user: steps.append(address))  # CODE
    chip._engine.ctl_flush_tb()
    again = inferences.run(sample)
    assert len(steps) == counted.instructions == again.instructions
    assert again.layers == counted.layers


def test_halfwords_make_instructions() -> None:
    # movs r0, #1; bl +4; ldr.w r1, [r2]; it lt; addlt r3, #1; bx lr
    code = bytes.fromhex("0120 00f000f8 d2f80010 b8bf 0133 7047")
    assert tally.instructions_in(code) == 6


@pytest.mark.slow
@pytest.mark.parametrize("board", ["rpi_pico2", "nucleo_h743zi", "nrf52840_dk", "nucleo_f446re"])
def test_other_boards_run_their_own_start_up(board: str, tmp_path: Path) -> None:
    made = firmware(tmp_path, board)
    ending = chip_for(made, "unicorn").boot()
    assert (ending.how, ending.exit_code) == ("end", 0)
    assert ending.uart.endswith("self test: PASSED\r\n")


@pytest.mark.slow
@pytest.mark.parametrize("network", [keyword_spotter, mixed_ends])
def test_floats_and_several_ends(network, tmp_path: Path) -> None:
    made = firmware(tmp_path, graph=network())
    inferences = Inferences(chip_for(made), made)
    for sample in samples(made):
        found = inferences.run(sample).outputs
        for ours, theirs in zip(run(made.program.graph, sample), found, strict=True):
            np.testing.assert_array_equal(ours, theirs)


SOFTMAX = ("ek_softmax_s8.c", "  for (int32_t i = 0; i < p->rows; i++)")
WRONG = {
    "beyond RAM": ("*(volatile int *)0x20400000 = 1;", "write of 0x20400000"),
    "to flash": ("*(volatile int *)0x00000100 = 1;", "write of 0x00000100"),
    "outside the arena": ("static volatile int wild = 1; wild++;", "outside of its arena.*wild"),
    "behind the arena": (
        "extern unsigned char ek_bss_end[]; ek_bss_end[100] = 1;",
        "outside of its arena.*free memory",
    ),
    "for ever": ('for (;;) __asm volatile("");', "did not come back"),
    "too deep": (
        "volatile char pit[5000]; for (int i = 4999; i >= 0; i--) pit[i] = 0;",
        "faulted: (write|read) of 0x1fff",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", WRONG)
def test_what_the_chip_refuses_is_found_in_its_layer(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unicorn_chip, "_RUN_SECONDS", 1.0)
    statement, message = WRONG[what]
    made = firmware(tmp_path, changes={SOFTMAX: statement + SOFTMAX[1]})
    (sample,) = samples(made, 1)
    inferences = Inferences(chip_for(made), made)
    with pytest.raises(ChipFaultError, match=message) as caught:
        inferences.run(sample)
    if "the arena" not in what:
        assert "ek_softmax_s8" in str(caught.value) and "SOFTMAX" in str(caught.value)


def test_a_firmware_of_another_program_is_noticed(made: Firmware) -> None:
    program = replace(made.program, steps=made.program.steps[:-2])
    shorter = replace(made, program=program)
    with pytest.raises(VerificationError, match="calls in an inference"):
        Inferences(chip_for(shorter), shorter).run(samples(made)[0])


def test_cores_that_nobody_emulates() -> None:
    pytest.importorskip("unicorn", reason="needs edgekit[c]")
    assert default_engine(boards.load("mps3_an547")) == "qemu"
    assert default_engine(boards.load("esp32_s3")) is None
    with pytest.raises(UnsupportedError, match="unicorn has no cortex-m55"):
        UnicornChip(boards.load("mps3_an547"), None, None)  # type: ignore[arg-type]
