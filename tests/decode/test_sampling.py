import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.decode.sampling import Sampler

START_S = 1_700_000_000.0


def sampled(timestamps: list[float], fps: float) -> list[float]:
    sampler = Sampler(fps)
    return [timestamp for timestamp in timestamps if sampler.wants(timestamp)]


def camera(fps: float, count: int, *, cut: bool = False) -> list[float]:
    """Timestamps in whole milliseconds, rounded as FFmpeg does or cut as others do."""
    whole = math.floor if cut else round
    return [START_S + whole(number * 1000 / fps) / 1000 for number in range(count)]


def test_the_first_frame_of_every_slot_is_wanted() -> None:
    assert sampled([10.0, 10.05, 10.19, 10.2, 10.39, 10.61], 5) == [10.0, 10.2, 10.61]


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("fps", [5, 15, 24, 25, 30, 60])
def test_sampling_at_the_rate_of_the_camera_wants_every_frame(fps: float, cut: bool) -> None:
    frames = camera(fps, 600, cut=cut)
    assert sampled(frames, fps) == frames


@pytest.mark.parametrize("fps", [15, 24, 25, 29.97, 30, 60])
def test_five_a_second_are_wanted_of_any_camera(fps: float) -> None:
    frames = camera(fps, round(fps * 20))
    assert len(sampled(frames, 5)) == 100


def test_a_clock_that_steps_back_opens_a_new_slot() -> None:
    assert sampled([100.0, 100.1, 100.2, 50.0, 50.1, 50.2], 5) == [100.0, 100.2, 50.0, 50.2]


def test_another_rate_holds_from_the_next_slot_on() -> None:
    sampler = Sampler(5)
    assert sampler.wants(10.0)
    sampler.fps = 1
    assert not any(sampler.wants(10 + tenth / 10) for tenth in range(1, 10))
    assert sampler.wants(11.0)


def test_a_keyframe_nearly_a_slot_behind_the_last_is_wanted_where_there_are_no_others() -> None:
    sampler = Sampler(1)
    sampler.keyframes_only = True
    keyframes = [10.999, 11.998, 12.997, 13.996]  # an encoder whose clock is fast
    assert [at for at in keyframes if sampler.wants(at)] == keyframes
    assert not sampler.wants(13.998)


def test_keyframes_that_come_more_often_are_sampled_once_a_slot() -> None:
    sampler = Sampler(1)
    sampler.keyframes_only = True
    wanted = [at * 0.7 for at in range(100) if sampler.wants(at * 0.7)]
    assert len(wanted) == 70


@given(
    st.lists(st.integers(0, 100_000), min_size=1).map(sorted),
    st.floats(0.1, 60),
)
def test_no_two_wanted_frames_share_a_slot(milliseconds: list[int], fps: float) -> None:
    wanted = sampled([value / 1000 for value in milliseconds], fps)
    slots = [math.floor((timestamp + 0.0015) * fps) for timestamp in wanted]
    assert len(set(slots)) == len(slots)
    assert slots == sorted({math.floor((value / 1000 + 0.0015) * fps) for value in milliseconds})


@pytest.mark.parametrize("fps", [0, -1, math.nan])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Sampler(fps)


def test_asking_whether_a_slot_would_open_changes_nothing() -> None:
    sampler = Sampler(5)
    assert sampler.is_new(10.0)
    assert sampler.wants(10.0)
    assert not sampler.is_new(10.1)
    assert sampler.is_new(10.2)
    assert sampler.wants(10.2)
