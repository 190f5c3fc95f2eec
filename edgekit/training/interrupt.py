"""Ctrl-C and SIGTERM between two steps of a training instead of in the middle of one."""

from __future__ import annotations

from contextlib import ExitStack
from types import FrameType, TracebackType

from edgekit.interruption import Stopped, handled


class Interrupt:
    """While entered, the first signal only sets `asked`; the second one raises `Stopped`.

    Signals reach the main thread alone: elsewhere this changes nothing.

    Attributes:
        number: of the signal that came; None if none did.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._handlers = ExitStack()

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def __enter__(self) -> Interrupt:
        self._handlers.enter_context(handled(self._ask))
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise Stopped(number)
        self.number = number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handlers.close()
