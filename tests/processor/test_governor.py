"""All cameras of a machine go at one rate: down at once, up with care, and nobody for another."""

import heapq
import itertools
from collections.abc import Callable

import pytest

from streamproc.processor.governor import Governor


class Machine:
    """Cameras that share a machine: more work than time makes all of them late alike."""

    def __init__(self, cameras: int, load: Callable[[float], float]) -> None:
        """load: seconds of work that a second of video is, of all cameras, at a rate."""
        self.governor = Governor(5.0, 1.0)
        self.load = load
        self.now = 0.0
        self.behind_s = 0.0
        self.rates: list[float] = []
        self._dues = [(number / cameras / 5, f"camera-{number}") for number in range(cameras)]

    def watch(self, seconds: float) -> list[tuple[float, float]]:
        """(rate, lateness) as each frame is sampled. Later than a second is passed over."""
        seen = []
        end = self.now + seconds
        while self.now < end:
            due, name = heapq.heappop(self._dues)
            grown_s = (due - self.now) * (self.load(self.governor.fps) - 1.0)
            self.behind_s = min(1.0, max(0.0, self.behind_s + grown_s))
            self.now = due
            fps = self.governor.told(name, self.behind_s, self.now)
            seen.append((fps, self.behind_s))
            heapq.heappush(self._dues, (due + 1 / fps, name))
        return seen


def test_a_machine_that_keeps_up_is_left_alone() -> None:
    assert {fps for fps, _ in Machine(24, lambda fps: 0.19 * fps).watch(60)} == {5.0}


def test_overload_brings_every_camera_down_within_two_seconds() -> None:
    machine = Machine(24, lambda fps: 0.5 * fps)
    seen = machine.watch(2.0)
    assert seen[-1][0] <= 2.0
    assert machine.behind_s < 1.0


def test_the_rate_settles_near_what_the_machine_can_do() -> None:
    machine = Machine(24, lambda fps: 0.4 * fps)
    machine.watch(120)
    seen = machine.watch(240)
    rates = [fps for fps, _ in seen]
    assert 1.2 <= sum(rates) / len(rates) <= 2.6
    late = [behind_s for _, behind_s in seen if behind_s > 0.6]
    assert len(late) <= 0.01 * len(seen)


def test_a_rate_that_cannot_be_held_is_tried_ever_more_seldom() -> None:
    """Above a rate of one, whole pictures are decoded: half the machine's work becomes twice."""
    machine = Machine(24, lambda fps: 0.5 if fps <= 1.0 else 1.3 + 0.2 * fps)
    machine.watch(60)
    trials, before = [], 1.0
    while machine.now < 1000:
        for fps, _ in machine.watch(0.2):
            if fps > before:
                trials.append(machine.now)
            before = fps
    distances = [after - before for before, after in itertools.pairwise(trials)]
    assert distances == pytest.approx(sorted(distances), abs=1.0)
    assert distances[-1] > 150


def test_when_the_load_has_gone_the_full_rate_comes_back() -> None:
    machine = Machine(24, lambda fps: 0.6 * fps)
    machine.watch(30)
    assert machine.governor.is_reduced
    machine.load = lambda fps: 0.1 * fps
    machine.watch(90)
    assert not machine.governor.is_reduced


def test_the_rate_never_falls_below_the_least() -> None:
    machine = Machine(4, lambda _: 10.0)
    assert machine.watch(20)[-1][0] == 1.0


def test_a_least_rate_above_the_usual_one_is_the_usual_one() -> None:
    governor = Governor(0.5, 1.0)
    assert governor.told("door", 60.0, 0.0) == 0.5
    assert not governor.is_reduced


def test_one_camera_that_is_late_alone_pulls_no_other_down() -> None:
    governor = Governor(5.0, 1.0)
    for tenth in range(100):
        governor.told("door", 0.0, tenth / 10)
        assert governor.told("yard", 9.0, tenth / 10) == 5.0


def test_the_only_camera_is_late_for_itself() -> None:
    governor = Governor(5.0, 1.0)
    assert governor.told("door", 0.3, 0.0) == pytest.approx(3.5)
    assert governor.told("door", 0.3, 0.4) == pytest.approx(3.5)  # its effect is awaited
    assert governor.told("door", 0.2, 0.6) == pytest.approx(3.5)
    assert governor.told("door", 0.9, 0.7) == pytest.approx(1.2, abs=0.01)


def test_nothing_more_is_taken_away_from_who_catches_up() -> None:
    governor = Governor(5.0, 1.0)
    governor.told("door", 4.0, 0.0)
    reduced = governor.fps
    assert [governor.told("door", behind_s, at) for at, behind_s in ((1, 2.5), (2, 1.0))] == [
        reduced, reduced
    ]  # fmt: skip


def test_who_fell_silent_does_not_count() -> None:
    governor = Governor(5.0, 1.0)
    governor.told("dark", 0.0, 0.0)
    assert governor.told("door", 0.4, 4.0) == 5.0
    assert governor.told("door", 0.4, 6.0) == pytest.approx(3.5)


def test_when_all_are_at_rest_nothing_is_held_against_the_next() -> None:
    governor = Governor(5.0, 1.0)
    governor.told("door", 9.0, 0.0)
    assert governor.is_reduced
    governor.left("yard")
    assert governor.is_reduced
    governor.left("door")
    assert governor.fps == 5.0
