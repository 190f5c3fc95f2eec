import subprocess
import sys

import pytest

from edgekit.errors import UsageError
from edgekit.training.distribution import Distribution

MEETING = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "0"}


@pytest.mark.parametrize("field", ["devices", "num_nodes"])
def test_counts_begin_at_one(field: str) -> None:
    with pytest.raises(UsageError, match=field.replace("_", "-")):
        Distribution(**{field: 0})


def test_only_one_plain_process_is_alone() -> None:
    assert Distribution().is_alone
    others = (
        Distribution(devices=2),
        Distribution(num_nodes=2),
        Distribution(accelerator="auto"),
        Distribution(strategy="ddp"),
    )
    assert not any(other.is_alone for other in others)


def test_another_number_of_launched_processes_is_refused() -> None:
    Distribution(devices=2, num_nodes=2).check({"WORLD_SIZE": "4", **MEETING})
    with pytest.raises(UsageError, match="4 processes were launched"):
        Distribution().check({"WORLD_SIZE": "4"})


@pytest.mark.parametrize("lost", MEETING)
def test_machines_must_know_where_to_meet(lost: str) -> None:
    told = {key: value for key, value in MEETING.items() if key != lost}
    with pytest.raises(UsageError, match=lost):
        Distribution(num_nodes=2).check(told)
    Distribution(num_nodes=2).check(MEETING)
    Distribution(num_nodes=2).check({"SLURM_NTASKS": "2"})


def test_a_distribution_needs_no_torch() -> None:
    code = "import edgekit.training.distribution, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
