"""What nobody would look at is not decoded, and what is late gives way to what is not."""

from collections.abc import Callable, Iterable

import pytest

from streamproc.decode.sampling import Sampler
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentStarted,
    Packet,
    Track,
    TrackKind,
)
from streamproc.processor.shedding import SPARE_MAX, Shedding
from streamproc.processor.view import Counters

START_S = 1_700_000_000.0
SOUND, VIDEO = Track(1, TrackKind.AUDIO, "A_AAC"), Track(2, TrackKind.VIDEO, "V_MPEG4/ISO/AVC")


def in_time(_: float) -> float:
    return 0.0


class Stream:
    """Packets of one fragment, offered one after the other."""

    def __init__(
        self,
        fps: float,
        opens: Callable[[Packet], bool] = lambda _: True,
        *,
        holds: bool = True,
        is_reduced: bool = True,
    ) -> None:
        self.counters = Counters()
        self.sampler = Sampler(fps)
        self.shedding = Shedding(
            self.sampler, opens, lambda: holds, lambda: is_reduced, self.counters
        )
        self.shedding.follow(FragmentStarted(Fragment("1", START_S, START_S, 0, (SOUND, VIDEO))))

    def decoded(
        self,
        seconds: Iterable[float],
        keyframe_every_s: float,
        behind_s: Callable[[float], float] = in_time,
        shows: Callable[[float], bool] = lambda _: True,
    ) -> list[float]:
        """Those of a track with a packet at each of these tenths of a second that are decoded;
        a picture comes out with its packet, where it shows something."""
        found = []
        for at_s in seconds:
            is_keyframe = round(at_s * 10) % round(keyframe_every_s * 10) == 0
            packet = Packet(2, round(at_s * 1e9), is_keyframe, b"coded")
            for event in self.shedding.take(packet, lambda media_s: behind_s(media_s - START_S)):
                assert isinstance(event, Packet)
                found.append(round(event.offset_ns / 1e9, 1))
                if shows(found[-1]):
                    self.shedding.came_out(START_S + event.offset_ns / 1e9)
                    self.sampler.wants(START_S + event.offset_ns / 1e9)
        return found


def tenths(begin_s: int, end_s: int) -> list[float]:
    return [tenth / 10 for tenth in range(begin_s * 10, end_s * 10)]


def test_everything_is_decoded_where_more_is_analysed_than_keyframes_come() -> None:
    stream = Stream(fps=5)
    assert stream.decoded(tenths(0, 6), 1.0) == tenths(0, 6)
    assert stream.counters.packets_passed_over_total == 0


def test_keyframes_alone_are_decoded_where_no_more_is_analysed() -> None:
    stream = Stream(fps=1)
    found = stream.decoded(tenths(0, 6), 1.0)
    assert found == [*tenths(0, 1), 1.0, 2.0, 3.0, 4.0, 5.0]  # their distance is known from 1 s on
    assert stream.counters.packets_passed_over_total == 5 * 9
    assert stream.counters.gaps_total == 0


def test_at_the_full_rate_the_frame_that_opens_a_slot_is_decoded_wherever_it_is() -> None:
    stream = Stream(fps=1, is_reduced=False)
    assert stream.decoded(tenths(0, 6), 1.0) == tenths(0, 6)


def test_of_many_keyframes_those_are_decoded_that_are_analysed() -> None:
    stream = Stream(fps=2)
    assert stream.decoded(tenths(0, 3), 0.1)[-4:] == [1.0, 1.5, 2.0, 2.5]


def test_a_rate_that_rises_is_followed_from_the_next_keyframe_on() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 3), 1.0)
    stream.sampler.fps = 5
    assert stream.decoded([3.0 - 0.2, 3.0 - 0.1], 1.0) == []
    assert stream.decoded(tenths(3, 5), 1.0) == tenths(3, 5)


def test_keyframes_that_are_too_far_apart_are_not_relied_on() -> None:
    stream = Stream(fps=1)
    assert stream.decoded(tenths(0, 8), 2.0) == tenths(0, 8)


def test_one_long_distance_is_remembered_for_a_while() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 3), 1.0)
    assert stream.decoded([5.0], 1.0) == [5.0]
    assert stream.decoded(tenths(6, 9), 1.0) == tenths(6, 9)
    assert stream.decoded(tenths(9, 12), 1.0) == [9.0, 10.0, 11.0]


def test_what_is_marked_as_a_keyframe_and_opens_nothing_is_none() -> None:
    stream = Stream(fps=1, opens=lambda _: False)
    assert stream.decoded(tenths(0, 6), 1.0) == tenths(0, 6)


def test_sound_is_decoded_by_nobody_and_not_counted() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 3), 1.0)
    before = stream.counters.packets_passed_over_total
    assert stream.shedding.take(Packet(1, 3_100_000_000, True, b"sound"), in_time) == []
    assert stream.counters.packets_passed_over_total == before


def test_what_lies_between_the_last_analysed_picture_and_a_keyframe_is_not_decoded() -> None:
    stream = Stream(fps=2.5, holds=False)
    assert stream.decoded(tenths(0, 1), 1.0) == tenths(0, 1)[:9]  # 0.0, 0.4 and 0.8 are analysed
    assert stream.decoded(tenths(1, 2), 1.0) == tenths(1, 2)[:7]  # 1.2 and 1.6
    assert stream.decoded([2.0], 1.0) == [2.0]
    assert stream.counters.packets_passed_over_total == 1 + 3
    assert stream.counters.gaps_total == 0


def test_what_waited_is_decoded_where_a_later_picture_needs_it() -> None:
    stream = Stream(fps=2.5, holds=False)
    stream.decoded(tenths(0, 1), 1.0)
    # 0.9 waited, and no keyframe comes. Behind 2.8 the next that is analysed is 3.2.
    assert stream.decoded(tenths(1, 3), 60.0) == tenths(0, 3)[9:29]


def test_pictures_are_decoded_ahead_of_the_one_that_matters() -> None:
    stream = Stream(fps=2, holds=False)
    for at_s, comes in ((0.0, [0.0]), (0.1, []), (0.2, []), (0.3, []), (0.4, [0.1, 0.2, 0.3, 0.4])):
        assert stream.decoded([at_s], 5.0) == comes


def test_a_decoder_that_holds_pictures_back_gets_everything() -> None:
    stream = Stream(fps=2.5, holds=True)
    assert stream.decoded(tenths(0, 3), 1.0) == tenths(0, 3)


def test_no_more_than_a_few_wait() -> None:
    stream = Stream(fps=0.01, holds=False)
    waits = [len(stream.decoded([tenth / 10], 60.0)) for tenth in range(SPARE_MAX + 2)]
    assert waits == [1, *[0] * (SPARE_MAX - 1), SPARE_MAX, 0]


def test_fragments_that_begin_meanwhile_stay_in_their_place() -> None:
    stream = Stream(fps=2, holds=False)
    assert stream.decoded([0.0, 0.1, 0.2], 60.0) == [0.0]
    follows = FragmentStarted(Fragment("2", START_S + 0.6, START_S + 0.6, 0, (SOUND, VIDEO)))
    assert stream.shedding.follow(FragmentEnded("1", complete=True)) == []
    assert stream.shedding.follow(follows) == []
    keyframe = Packet(2, 0, True, b"coded")
    assert stream.shedding.take(keyframe, in_time) == [follows, keyframe]
    assert stream.counters.packets_passed_over_total == 2


def test_what_waits_when_a_fragment_breaks_off_is_given_up() -> None:
    stream = Stream(fps=0.01, holds=False)
    stream.decoded([0.0, 0.1, 0.2], 60.0)
    broken = FragmentEnded("1", complete=False)
    assert stream.shedding.follow(broken) == [broken]
    assert stream.counters.packets_passed_over_total == 2


def test_late_video_is_passed_over_up_to_a_keyframe_and_counted_as_a_gap() -> None:
    stream = Stream(fps=5)
    stream.decoded(tenths(0, 2), 1.0)
    found = stream.decoded(tenths(2, 5), 1.0, lambda at_s: 0.6 if 2.0 < at_s < 2.9 else 0.1)
    assert found == [2.0, *tenths(3, 5)]
    assert stream.counters.packets_passed_over_total == 9
    assert stream.counters.gaps_total == 1
    assert stream.counters.gap_s_total == pytest.approx(0.9)


def test_very_late_video_is_passed_over_up_to_the_newest_keyframe() -> None:
    stream = Stream(fps=5)
    stream.decoded(tenths(0, 2), 1.0)
    found = stream.decoded(tenths(2, 8), 1.0, lambda at_s: max(0.0, 5.2 - at_s))
    assert found == tenths(5, 8)
    assert stream.counters.gaps_total == 1
    assert stream.counters.gap_s_total == pytest.approx(3.0)


def test_nothing_is_passed_over_for_a_keyframe_that_is_far() -> None:
    stream = Stream(fps=5)
    stream.decoded(tenths(0, 10), 4.0)
    found = stream.decoded(tenths(10, 13), 4.0, lambda at_s: 0.9 if at_s < 12.0 else 0.0)
    assert found == [*tenths(10, 13)[:7], *tenths(12, 13)]  # it is here before LATE_S are over


def test_between_keyframes_that_are_decoded_alone_there_is_no_gap() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 3), 1.0)
    late = stream.decoded(tenths(3, 6), 1.0, lambda at_s: 0.6 if at_s % 1 > 0.05 else 0.4)
    assert late == [3.0, 4.0, 5.0]
    assert stream.counters.gaps_total == 0


def test_a_pause_is_no_distance_between_keyframes() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 3), 1.0)
    assert stream.decoded(tenths(20, 23), 1.0) == [20.0, 21.0, 22.0]


def test_a_camera_that_goes_off_while_it_is_late_has_lost_only_what_it_sent() -> None:
    stream = Stream(fps=5)
    stream.decoded(tenths(0, 2), 1.0)
    assert stream.decoded(tenths(2, 3), 1.0, lambda _: 0.6) == []
    assert stream.decoded(tenths(3600, 3601), 1.0) == tenths(3600, 3601)
    assert stream.counters.gaps_total == 1
    assert stream.counters.gap_s_total == pytest.approx(0.9)


def test_pictures_out_of_order_are_all_decoded_and_keyframes_known() -> None:
    stream = Stream(fps=0.5, holds=False)
    order = [0.0, 0.3, 0.1, 0.2, 0.6, 0.4, 0.5, 0.9, 0.7, 0.8]
    assert stream.decoded(order, 1.0) == order
    assert stream.decoded([1.0 + at_s for at_s in order], 1.0) == []  # keyframes alone, at 2.0
    assert stream.decoded([2.0, 2.3], 1.0) == [2.0]


def is_no_keyframe(at_s: float) -> bool:
    return round(at_s * 10) % 10 != 0


@pytest.mark.parametrize("holds", [False, True])
def test_keyframes_that_give_no_picture_are_not_decoded_alone(*, holds: bool) -> None:
    stream = Stream(fps=1, holds=holds)
    found = stream.decoded(tenths(0, 20), 1.0, shows=is_no_keyframe)
    assert {int(at_s) for at_s in found if is_no_keyframe(at_s)} >= set(range(2, 20))
    assert stream.counters.gaps_total == 0


def test_a_keyframe_that_fails_on_its_own_brings_back_the_rest_at_the_next() -> None:
    stream = Stream(fps=1, holds=False)
    stream.decoded(tenths(0, 3), 1.0)
    assert stream.decoded(tenths(3, 4), 1.0, shows=is_no_keyframe) == [3.0]
    assert stream.decoded([4.0, 4.1, 4.2], 1.0, shows=is_no_keyframe) == [4.0, 4.1]


def test_keyframes_are_trusted_again_when_several_have_given_their_pictures() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 3), 1.0)
    stream.decoded([3.0], 1.0, shows=is_no_keyframe)
    found = stream.decoded(tenths(3, 12), 1.0)
    assert found[-4:] == [8.0, 9.0, 10.0, 11.0]


def test_two_halves_of_every_keyframe_are_decoded_with_what_follows() -> None:
    stream = Stream(fps=1)
    halves = [
        at_s for each in tenths(0, 9) for at_s in ([each] * (1 + (round(each * 10) % 10 == 0)))
    ]
    stream.decoded(halves, 1.0, shows=is_no_keyframe)
    assert stream.counters.packets_passed_over_total <= 9 + 1


def test_where_keyframes_stop_coming_the_decoder_gets_everything_again() -> None:
    stream = Stream(fps=1)
    stream.decoded(tenths(0, 4), 1.0)
    found = stream.decoded(tenths(4, 60)[1:], 1000.0)
    assert found == tenths(5, 60)[1:]
    assert stream.decoded(tenths(60, 64), 1.0)[-2:] == [62.0, 63.0]


def test_late_video_without_keyframes_is_not_passed_over_for_ever() -> None:
    stream = Stream(fps=5)
    stream.decoded(tenths(0, 4), 1.0)
    found = stream.decoded(tenths(4, 60)[1:], 1000.0, lambda _: 0.6)
    assert found == tenths(5, 60)[1:]
    assert stream.counters.gaps_total == 1
    assert stream.counters.gap_s_total == pytest.approx(1.0)
