"""ek_conv_s8 gives the reference's bits."""

from pathlib import Path

from support.c_host import assert_c_equals_reference, needs_compiler
from support.layer_cases import conv_case
from support.op_cases import rng_of

pytestmark = needs_compiler


def test_random_convolutions(tmp_path: Path) -> None:
    rng = rng_of("c conv")
    assert_c_equals_reference([conv_case(rng) for _ in range(30)], tmp_path, rng)
