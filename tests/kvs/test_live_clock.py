"""Times of a live source, against what cameras and networks do to them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.kvs.live_clock import LiveClock, Pacer

NOW_S = 1_700_000_000.0
STEP_S = 0.04


def place(clock: LiveClock, pts_s: list[float], arrivals_s: list[float]) -> list[float]:
    return [clock.place(*pair) for pair in zip(pts_s, arrivals_s, strict=True)]


def every(count: int, step_s: float, start_s: float = 0.0) -> list[float]:
    return [start_s + number * step_s for number in range(count)]


def test_the_cameras_own_pace_is_kept() -> None:
    arrivals = [NOW_S + at + 0.02 * (number % 3) for number, at in enumerate(every(100, STEP_S))]
    times = place(LiveClock(), every(100, STEP_S, start_s=900.0), arrivals)
    steps = [after - before for before, after in pairwise(times)]
    assert steps == pytest.approx([STEP_S] * 99, abs=STEP_S * 0.2)


def test_b_frames_step_back() -> None:
    times = place(LiveClock(), [0.0, 0.12, 0.04, 0.08], every(4, STEP_S, NOW_S))
    assert [at - times[0] for at in times] == pytest.approx([0.0, 0.12, 0.04, 0.08], abs=0.02)


@pytest.mark.parametrize("drift", [0.999, 1.001, 0.95, 1.05])
def test_a_clock_that_drifts_never_runs_away(drift: float) -> None:
    arrivals = every(90_000, STEP_S, NOW_S)  # an hour
    clock = LiveClock()
    times = place(clock, every(90_000, STEP_S * drift), arrivals)
    lags = [arrival - at for at, arrival in zip(times, arrivals, strict=True)][1000:]
    assert min(lags) > -0.5
    assert max(lags) < 0.5
    assert clock.anchors_total == 1
    assert all(after > before for before, after in pairwise(times))


def test_a_first_burst_is_dated_back_to_now_within_seconds() -> None:
    """RTSP servers send what they have since the last keyframe at once."""
    arrivals = [NOW_S] * 25 + every(500, STEP_S, NOW_S)
    times = place(LiveClock(), every(525, STEP_S), arrivals)
    assert times[24] == pytest.approx(NOW_S + 0.96)
    assert times[-1] == pytest.approx(arrivals[-1], abs=0.05)
    assert all(after > before for before, after in pairwise(times))


def test_a_clock_that_was_set_anchors_anew() -> None:
    clock = LiveClock()
    place(clock, every(100, STEP_S), every(100, STEP_S, NOW_S))
    for jump_s in (3600.0, -86_400.0, 10.0):
        before = clock.reached_s
        arrival = (before or 0) + STEP_S
        at_s = clock.place(jump_s, arrival)
        assert at_s == pytest.approx(arrival, abs=0.01)
        assert before is not None
        assert at_s > before


def test_a_stall_is_not_a_new_time() -> None:
    """What waited in the network for three seconds still has its own times."""
    pts = every(200, STEP_S)
    arrivals = [max(NOW_S + at, NOW_S + 5.0) if 2.0 < at < 5.0 else NOW_S + at for at in pts]
    times = place(LiveClock(), pts, arrivals)
    assert [at - NOW_S for at in times] == pytest.approx(pts, abs=0.2)


def test_a_reopened_camera_goes_on_behind_what_was_sent() -> None:
    clock = LiveClock()
    [*_, last] = place(clock, every(50, STEP_S), every(50, STEP_S, NOW_S))
    clock.reopened()
    assert clock.place(0.0, NOW_S + 10) == NOW_S + 10
    clock.reopened()
    assert NOW_S + 10 < clock.place(0.0, NOW_S + 9.5) < NOW_S + 10.1
    assert last < NOW_S + 2


def test_the_machines_own_clock_may_be_set_back() -> None:
    clock = LiveClock()
    place(clock, every(50, STEP_S), every(50, STEP_S, NOW_S))
    assert clock.place(2.0, NOW_S - 3600) == NOW_S - 3600


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(0, 20)),
        min_size=1,
        max_size=60,
    )
)
def test_no_time_is_far_from_now_whatever_a_camera_says(steps: list[tuple[float, float]]) -> None:
    clock = LiveClock()
    arrival = NOW_S
    reached = 0.0
    for pts_s, wait_s in steps:
        arrival += wait_s
        at_s = clock.place(pts_s, arrival)
        assert at_s <= arrival + 2.001  # and what floats round
        assert at_s >= reached - 2.0
        reached = max(reached, at_s)


def test_a_clock_that_jumps_with_every_picture_does_not_run_ahead() -> None:
    clock = LiveClock()
    arrivals = every(20_000, 1 / 5000, NOW_S)
    jumps = [0.0, 1e6, -1e6, 5e8]
    times = place(clock, [jumps[number % 4] for number in range(20_000)], arrivals)
    assert all(at - arrival < 2.001 for at, arrival in zip(times, arrivals, strict=True))


def test_a_recording_is_handed_out_at_its_own_pace() -> None:
    pacer = Pacer()
    assert pacer.wait_s(100.0, 5.0) == 0
    assert pacer.wait_s(100.5, 5.1) == pytest.approx(0.4)
    assert pacer.wait_s(0.0, 5.6) == 0  # it starts again
    assert pacer.wait_s(1.0, 5.6) == pytest.approx(1.0)
    assert pacer.wait_s(900.0, 6.6) == pytest.approx(0)  # a jump is no wait
