import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgekit.interruption import Stopped, exit_code, held_back, stoppable, unbroken


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_passes_through_finally_and_gives_the_exit_code(number: int, code: int) -> None:
    undone = []
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Stopped) as caught, stoppable():
        try:
            signal.raise_signal(number)
        finally:
            undone.append(True)
    assert undone and exit_code(caught.value) == code
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_the_code_survives_another_error_around_it() -> None:
    with pytest.raises(ValueError) as caught:
        try:
            raise Stopped(signal.SIGTERM)
        except Stopped as stop:
            raise ValueError from stop
    assert exit_code(caught.value) == 143
    assert exit_code(KeyboardInterrupt()) == 130


def test_signals_are_held_back_to_the_end_of_a_block() -> None:
    done = []
    with pytest.raises(Stopped) as caught, stoppable(), held_back():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        done.append(True)
    assert done and caught.value.number == signal.SIGTERM, "the first one counts"


def test_held_back_blocks_may_stand_in_each_other() -> None:
    done = []
    with pytest.raises(Stopped), stoppable(), held_back():
        with held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_errors_of_the_block_are_not_lost() -> None:
    with pytest.raises(Stopped) as caught, stoppable(), held_back():
        signal.raise_signal(signal.SIGINT)
        raise OSError("full")
    assert isinstance(caught.value.__context__, OSError)


def test_other_threads_are_left_alone() -> None:
    passed = []

    def work() -> None:
        with stoppable(), held_back():
            passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed


def test_neither_the_beginning_nor_the_end_of_a_context_is_broken_off() -> None:
    done = []

    @contextmanager
    def context() -> Iterator[str]:
        signal.raise_signal(signal.SIGINT)
        done.append("begun")
        try:
            yield "value"
        finally:
            signal.raise_signal(signal.SIGTERM)
            done.append("ended")

    with pytest.raises(Stopped) as caught, stoppable(), unbroken(context()):
        done.append("never")
    assert done == ["begun", "ended"]
    assert isinstance(caught.value.__context__, Stopped)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
