"""When frames are shown, from whatever times a file has."""

from fractions import Fraction

from streamproc.decode.timeline import Timeline

FRAME_S = Fraction(1001, 30000)


def placed(times: list[str | None], begin_s: str = "0", frame_s: Fraction = FRAME_S) -> list[float]:
    timeline = Timeline(Fraction(begin_s), frame_s)
    return [float(timeline.place(None if s is None else Fraction(s))) for s in times]


def test_times_count_from_the_beginning_of_the_file() -> None:
    assert placed(["1.4", "1.44", "9.4"], begin_s="1.4") == [0, 0.04, 8]
    assert placed(["-0.5", "0"], begin_s="-0.5") == [0, 0.5]


def test_a_first_frame_that_comes_later_stays_later() -> None:
    assert placed(["10.5", "10.54"], begin_s="10") == [0.5, 0.54]


def test_frames_without_times_follow_each_other() -> None:
    assert placed([None, None, None], frame_s=Fraction(1, 25)) == [0, 0.04, 0.08]
    assert placed(["1", None, "1.08"], frame_s=Fraction(1, 25)) == [1, 1.04, 1.08]


def test_time_is_exact() -> None:
    timeline = Timeline(Fraction(0), FRAME_S)
    for _ in range(30_000):
        at_s = timeline.place(None)
    assert at_s == 29_999 * FRAME_S
    assert timeline.reached_s == 1001


def test_a_recording_that_was_joined_on_goes_on_where_the_first_one_ends() -> None:
    assert placed(["10", "10.5", "0", "0.5"], "10", Fraction(1, 2)) == [0, 0.5, 1, 1.5]


def test_an_unclean_time_neither_steps_back_nor_moves_what_follows() -> None:
    assert placed(["0", "0.08", "0.04", "0.12"]) == [0, 0.08, 0.08, 0.12]


def test_a_frame_before_the_beginning_is_shown_at_the_beginning() -> None:
    assert placed(["0.9", "1.1"], begin_s="1") == [0, float(Fraction("0.1"))]


def test_the_end_is_that_of_the_frame_that_ends_last() -> None:
    timeline = Timeline(Fraction(0), Fraction(1, 25))
    timeline.place(Fraction(1), Fraction(3))
    assert timeline.reached_s == 4
    timeline.place(Fraction(2))
    assert timeline.reached_s == 4


def test_lost_frames_without_times_keep_their_place() -> None:
    timeline = Timeline(Fraction(0), Fraction(1, 25))
    assert timeline.place(None) == 0
    timeline.skip(2)
    assert timeline.place(None) == Fraction(3, 25)
