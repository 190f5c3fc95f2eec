import threading
import time

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch

from edgekit.errors import UsageError
from edgekit.training.threads import Team, best_time, cores, pick_threads


def test_results_come_in_the_order_of_the_parts() -> None:
    def slow_first(part: int) -> int:
        time.sleep(0.02 if part == 0 else 0)
        return part * part

    with Team(2, 4) as team:
        assert team.map(slow_first, range(4)) == [0, 1, 4, 9]


@pytest.mark.parametrize(("threads", "within"), [(1, 1), (2, 1), (4, 2)])
def test_threads_beyond_the_shards_work_within_operators(threads: int, within: int) -> None:
    before = torch.get_num_threads()
    with Team(threads, 2) as team:
        assert team.run(torch.get_num_threads) == within
        assert team.run(threading.current_thread) is not threading.current_thread()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, 257, 100_000])
def test_numbers_of_threads_that_cannot_be(threads: int) -> None:
    with pytest.raises(UsageError, match="1 to 256 threads"):
        Team(threads, 2)


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    def fail(part: int) -> int:
        raise ZeroDivisionError

    with Team(2, 2) as team, pytest.raises(ZeroDivisionError):
        team.map(fail, range(2))


def test_the_faster_number_of_threads_is_picked() -> None:
    assert pick_threads(lambda threads: 1 / threads, available=4) == 4
    assert pick_threads(lambda threads: 1 + threads, available=4) == 1


def test_one_core_needs_no_trial() -> None:
    def never(threads: int) -> float:
        raise AssertionError

    assert pick_threads(never, available=1) == 1


def test_the_best_time_leaves_the_warming_up_out() -> None:
    calls: list[int] = []

    def step() -> None:
        time.sleep(0.05 if not calls else 0.001)
        calls.append(1)

    assert best_time(step) < 0.05
    assert len(calls) > 2
    assert cores() >= 1
