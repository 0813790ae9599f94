"""CPU time is counted where it is spent, once."""

from collections.abc import Iterator

import pytest

from benchmarks.stopwatch import Stopwatch


class Worker:
    """Its work is to let time pass: a second outside of inner(), ten inside, a hundred a step."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def outer(self) -> str:
        self.now_s += 1
        self.inner()
        return "done"

    def inner(self) -> None:
        self.now_s += 10

    def fails(self) -> None:
        self.now_s += 5
        raise ValueError("as it does")

    def steps(self) -> Iterator[int]:
        for number in range(3):
            self.now_s += 100
            yield number


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def watch(worker: Worker) -> Stopwatch:
    watch = Stopwatch(lambda: worker.now_s)
    for name in ("outer", "inner", "fails", "steps"):
        watch.wrap(worker, name, name)
    return watch


def test_what_is_within_another_part_counts_there_alone(watch: Stopwatch, worker: Worker) -> None:
    assert worker.outer() == "done"
    assert watch.cpu_s == {"outer": 1, "inner": 10}
    assert watch.calls == {"outer": 1, "inner": 1}


def test_a_generator_is_timed_step_by_step(watch: Stopwatch, worker: Worker) -> None:
    for _ in worker.steps():
        worker.now_s += 7  # whoever takes the steps
    assert watch.cpu_s == {"steps": 300}
    assert watch.calls == {"steps": 1}


def test_what_fails_has_spent_its_time_all_the_same(watch: Stopwatch, worker: Worker) -> None:
    with pytest.raises(ValueError, match="as it does"):
        worker.fails()
    assert watch.cpu_s == {"fails": 5}


def test_a_part_that_is_gone_is_an_error_and_not_a_nought(watch: Stopwatch, worker: Worker) -> None:
    with pytest.raises(AttributeError, match="renamed"):
        watch.wrap(worker, "renamed", "part")
