"""Where a training runs: on how many devices of how many machines (no torch).

A `Distribution` enters the command line; `distributed.join` makes a `World` of it. Refused: counts
below one, and machines that nobody told where to meet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgekit.errors import UsageError

Accelerator = Literal["auto", "cpu", "gpu"]
Strategy = Literal["auto", "ddp"]
_MEETING_POINT = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
# Set by programs that start the processes themselves, and tell them where to meet.
_LAUNCHERS = ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE")


@dataclass(frozen=True)
class Distribution:
    """What a training is shared out to, in the words of Lightning Fabric.

    Attributes:
        devices: processes on each machine; each has a GPU, or a part of the cores.
        num_nodes: machines.
        accelerator: what a device is; "auto" takes GPUs where there are any.
        strategy: how processes work together; "auto" is "ddp" where there are several.
    """

    devices: int = 1
    num_nodes: int = 1
    accelerator: Accelerator = "cpu"
    strategy: Strategy = "auto"

    def __post_init__(self) -> None:
        for name, count in (("devices", self.devices), ("num-nodes", self.num_nodes)):
            if count < 1:
                raise UsageError(f"--{name} is at least 1, not {count}.")

    @property
    def processes(self) -> int:
        """On all machines together."""
        return self.devices * self.num_nodes

    @property
    def is_alone(self) -> bool:
        """Whether this is one process on the CPU, which needs no Fabric."""
        return self.processes == 1 and self.accelerator == "cpu" and self.strategy == "auto"

    def check(self, environment: Mapping[str, str] = os.environ) -> None:
        """Compare with what a launcher has put into the environment.

        Raises:
            UsageError: another number of processes was launched, or machines cannot meet.
        """
        launched = int(environment.get("WORLD_SIZE", self.processes))
        if launched != self.processes:
            raise UsageError(
                f"{launched} processes were launched, but --devices {self.devices} on "
                f"--num-nodes {self.num_nodes} are {self.processes}.",
                hint="Give torchrun's --nproc-per-node and --nnodes here as well.",
            )
        missing = [name for name in _MEETING_POINT if name not in environment]
        if self.num_nodes > 1 and missing and not any(name in environment for name in _LAUNCHERS):
            raise UsageError(
                f"{self.num_nodes} machines need to know where to meet; not set: "
                f"{', '.join(missing)}.",
                hint="Start with torchrun or srun, or set them on each machine (docs/training.md).",
            )
