"""What a processor can compute at once, which decides the kernels of a program."""

from __future__ import annotations

from enum import Enum


class Isa(Enum):
    """The extensions of a core's instruction set that kernels are written for.

    Programs lowered for one still compile for every core: kernels bring portable twins.
    """

    PORTABLE = "portable"
    THUMB = "thumb"
    """One 32-bit product an instruction and no wider or narrower ones: ARMv6-M, ARMv7-M."""
    DSP = "dsp"
    """Two 16-bit products an instruction: ARMv7E-M, and ARMv8-M with the DSP extension."""
    MVE = "mve"
    """Vectors of 128 bits: ARMv8.1-M with Helium, which includes DSP."""

    @property
    def kernels(self) -> tuple[Isa, ...]:
        """Whose kernels the processor runs, the fastest first; the portable ones run everywhere."""
        return _KERNELS[self]

    @staticmethod
    def of(core: str) -> Isa:
        """The extensions of a core by its name: "cortex-m4"; an unknown one has none."""
        return _CORES.get(core, Isa.PORTABLE)


_CORES = {
    "cortex-m0plus": Isa.THUMB,
    "cortex-m3": Isa.THUMB,
    "cortex-m4": Isa.DSP,
    "cortex-m7": Isa.DSP,
    "cortex-m33": Isa.DSP,
    "cortex-m55": Isa.MVE,
}
_KERNELS = {
    Isa.PORTABLE: (),
    Isa.THUMB: (Isa.THUMB,),
    Isa.DSP: (Isa.DSP,),
    Isa.MVE: (Isa.MVE, Isa.DSP),
}
