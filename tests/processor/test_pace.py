"""The rate falls when the machine cannot keep up, and for no other reason."""

import pytest

from streamproc.processor.pace import Pace, RatePolicy

POLICY = RatePolicy(fps_max=5.0, fps_min=1.0, behind_s_high=2.0, behind_s_low=0.5)


@pytest.mark.parametrize(
    ("fps", "behind_s", "unchanged_s", "following"),
    [
        (5.0, 0.0, 100.0, 5.0),  # as fast as allowed
        (5.0, 2.1, 1.9, 5.0),  # the last step must show its effect first
        (5.0, 2.1, 2.0, 3.5),
        (3.5, 2.0, 60.0, 3.5),  # between the limits: as it is
        (3.5, 0.6, 60.0, 3.5),
        (1.2, 9.0, 2.0, 1.0),  # never below the least
        (1.0, 9.0, 2.0, 1.0),
        (1.0, 0.5, 9.9, 1.0),  # a calm must last
        (1.0, 0.5, 10.0, pytest.approx(1.43, abs=0.01)),
        (4.0, 0.0, 10.0, 5.0),
    ],
)
def test_policy(fps: float, behind_s: float, unchanged_s: float, following: float) -> None:
    assert POLICY.next_fps(fps, behind_s, unchanged_s) == following


def test_the_policy_acts_well_before_the_lag_allowed() -> None:
    policy = RatePolicy.within(5.0, 1.0, lag_s_max=30.0)
    assert (policy.behind_s_high, policy.behind_s_low) == (6.0, 1.5)


def test_the_least_rate_never_exceeds_the_usual_one() -> None:
    assert RatePolicy.within(0.5, 1.0, lag_s_max=30.0).next_fps(0.5, 9.0, 9.0) == 0.5


class Simulation:
    """A stream and a machine that takes work_s for each analysed frame."""

    def __init__(self, pace: Pace, work_s: float, now: float = 0.0, media: float = 0.0) -> None:
        self.pace, self.work_s, self.now, self.media = pace, work_s, now, media
        self.rates: list[float] = []
        self.analysed = 0

    def watch(
        self, seconds: float, *, live_offset: float | None = 0.0, is_backlog: bool = False
    ) -> None:
        """Media as it is filmed, or, with live_offset None, a backlog that is there at once."""
        end = self.media + seconds
        while self.media < end and not self.pace.is_lost:
            if live_offset is not None and self.media + live_offset > self.now:
                self.pace.waited(self.media + live_offset - self.now)
                self.now = self.media + live_offset
            self.rates.append(self.pace.observe(self.now, self.media, is_backlog=is_backlog))
            self.analysed += 1
            self.now += self.work_s
            self.media += 1 / self.pace.fps


def test_a_fast_machine_keeps_the_rate() -> None:
    simulation = Simulation(Pace(POLICY, 30.0), work_s=0.15)
    simulation.watch(120)
    assert set(simulation.rates) == {5.0}
    assert simulation.pace.behind_s == 0


def test_a_slow_machine_analyses_less_and_stays_near() -> None:
    simulation = Simulation(Pace(POLICY, 30.0), work_s=0.5)
    simulation.watch(300)
    assert min(simulation.rates) >= 1.0
    assert max(simulation.rates[-100:]) <= 2.5  # it could do 2, and tries a little more
    assert not simulation.pace.is_lost
    assert simulation.now - simulation.media < 10


def test_the_rate_recovers_when_the_load_has_gone() -> None:
    simulation = Simulation(Pace(POLICY, 30.0), work_s=0.5)
    simulation.watch(60)
    assert simulation.pace.is_reduced
    simulation.work_s = 0.05
    simulation.watch(120)
    assert simulation.pace.fps == 5.0


def test_far_too_slow_a_machine_is_lost_in_the_end() -> None:
    simulation = Simulation(Pace(POLICY, 30.0), work_s=3.0)
    simulation.watch(600)
    assert simulation.pace.is_lost
    assert simulation.rates[-1] == 1.0
    simulation.pace.jumped()
    assert not simulation.pace.is_lost


def test_a_backlog_is_read_at_the_full_rate_however_old_it_is() -> None:
    simulation = Simulation(Pace(POLICY, 30.0), work_s=0.1, now=1_000_000.0)
    simulation.watch(3600, live_offset=None)
    assert set(simulation.rates) == {5.0}
    assert simulation.analysed == pytest.approx(3600 * 5, abs=2)


def test_a_slow_machine_reads_a_backlog_at_the_full_rate_and_then_keeps_up() -> None:
    """Two minutes that came in while the daemon was down, on a machine that needs five."""
    simulation = Simulation(Pace(POLICY, 30.0, has_backlog=True), work_s=0.5)
    simulation.watch(120, live_offset=None, is_backlog=True)
    assert set(simulation.rates) == {5.0}
    simulation.watch(900)
    assert not simulation.pace.is_lost
    assert simulation.now - simulation.media < 10


def test_a_burst_on_a_slow_machine_is_forgiven() -> None:
    """A clip that is pushed as fast as it goes, to a processor that waits for it."""
    simulation = Simulation(Pace(POLICY, 30.0, has_backlog=True), work_s=0.5)
    simulation.watch(10, live_offset=None)
    assert set(simulation.rates) == {5.0}


def test_a_slow_machine_is_forgiven_once_and_not_for_ever() -> None:
    simulation = Simulation(Pace(POLICY, 30.0, has_backlog=True), work_s=0.5)
    simulation.watch(600)
    assert simulation.pace.is_reduced
    assert simulation.now - simulation.media < 40

    caught_up = Simulation(Pace(POLICY, 30.0, has_backlog=True), work_s=0.05)
    caught_up.watch(20)
    caught_up.work_s = 0.5
    caught_up.watch(60)
    assert caught_up.pace.is_reduced
    assert caught_up.now - caught_up.media < 10


def test_how_late_a_frame_would_be_is_known_before_it_is_sampled() -> None:
    pace = Pace(POLICY, 30.0)
    assert pace.behind_s_at(100.0, 7.0) == 0.0
    pace.observe(100.0, 7.0)
    assert pace.behind_s_at(100.5, 7.2) == pytest.approx(0.3)
    assert pace.behind_s_at(100.5, 9.0) == 0.0
    pace.waited(0.2)
    assert pace.behind_s_at(100.5, 7.2) == pytest.approx(0.1)


def test_who_waits_for_the_source_wins_back_what_was_lost() -> None:
    """A stream that comes two seconds later from now on, just when we were late ourselves."""
    pace = Pace(POLICY, 30.0)
    pace.observe(100.0, 7.0)
    pace.observe(102.0, 7.2)
    assert pace.behind_s == pytest.approx(1.8)
    pace.waited(1.5)
    assert pace.behind_s_at(103.8, 7.4) == pytest.approx(0.6)
    pace.observe(103.8, 7.4)
    pace.waited(0.15)
    pace.observe(104.0, 7.6)
    assert pace.behind_s == pytest.approx(0.5)


def test_no_more_is_analysed_than_others_allow() -> None:
    pace = Pace(POLICY, 30.0)
    pace.fps_allowed = 2.0
    assert (pace.observe(100.0, 7.0), pace.is_reduced) == (2.0, True)
    pace.fps_allowed = 9.0
    assert (pace.fps, pace.is_reduced) == (5.0, False)


def test_an_outage_of_the_source_costs_no_frame() -> None:
    simulation = Simulation(Pace(POLICY, 30.0), work_s=0.1)
    simulation.watch(20)
    simulation.pace.waited(90.0)
    simulation.now += 90.0
    simulation.watch(200, live_offset=0.0)
    assert set(simulation.rates) == {5.0}


def test_media_that_comes_in_bursts_does_not_look_like_load() -> None:
    """Whole fragments of 2 s at a time, analysed in half of that."""
    pace = Pace(POLICY, 30.0)
    for fragment in range(60):
        pace.waited(1.0)
        for frame in range(10):
            pace.observe(fragment * 2 + 1.0 + frame * 0.1, fragment * 2 + frame * 0.2)
    assert pace.fps == 5.0
    assert pace.behind_s < 0.2


def test_after_a_jump_to_live_the_rate_rises_only_after_a_calm() -> None:
    simulation = Simulation(Pace(POLICY, 5.0), work_s=1.5)
    simulation.watch(600)
    assert simulation.pace.is_lost
    simulation.pace.jumped()
    reduced, now = simulation.pace.fps, simulation.now
    rates = [simulation.pace.observe(now + calm_s, now + calm_s) for calm_s in (0.0, 9.9, 10.0)]
    assert rates[:2] == [reduced, reduced]
    assert rates[2] > reduced
