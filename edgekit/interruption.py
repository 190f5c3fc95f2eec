"""Signals that end the program: Ctrl-C (SIGINT) and SIGTERM, which both pass through `finally`.

Nothing enters; `Stopped` leaves, a KeyboardInterrupt that knows its signal, so that whatever is
half done is undone and the exit code tells what happened. Work that must not be broken off, such as
moving a finished folder to its place, holds signals back until it is done.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FIRST_CODE = 128  # what shells add to a signal's number
_Value = TypeVar("_Value")
_Handler = Callable[[int, FrameType | None], None]


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(error: BaseException) -> int:
    """The exit code for a stop: 130 for Ctrl-C, 143 for SIGTERM.

    Args:
        error: a `Stopped`, a KeyboardInterrupt, or an error that was raised from one.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Stopped):
            return _FIRST_CODE + cause.number
        cause = cause.__cause__
    return _FIRST_CODE + signal.SIGINT


@contextmanager
def stoppable() -> Iterator[None]:
    """Within, both signals raise `Stopped` in the main thread."""
    with handled(_stop):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Within, no signal stops anything; the first that came takes effect when the block ends.

    Signals reach the main thread alone: elsewhere this changes nothing.
    """
    arrived: list[int] = []
    try:
        with handled(lambda number, frame: arrived.append(number)):
            yield
    finally:
        if arrived:
            signal.raise_signal(arrived[0])


@contextmanager
def unbroken(context: AbstractContextManager[_Value]) -> Iterator[_Value]:
    """Enter a context and leave it at the end, neither of which a signal breaks off.

    The context is not told of errors in the block.
    """
    entered = ExitStack()
    try:
        with held_back():
            value = entered.enter_context(context)
        yield value
    finally:
        with held_back():
            entered.close()


def ignore_signals() -> None:
    """From here on neither signal does anything: the program is about to end."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def handled(handler: _Handler) -> Iterator[None]:
    """Within, both signals call `handler`; in other threads than the main one, nothing changes.

    A signal that is ignored stays so: shells do that for what runs in the background.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            # None: a handler that C installed, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
