"""Segments: runs of frames on which a name was seen, whatever else was."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from streamproc.jobs.analyses.segments import Segment, Segments, segment_item
from streamproc.model.job import Aggregation

STEP_MS = 500


def merge(frames: Sequence[Mapping[str, float]]) -> list[Segment]:
    """Frames every half second, from the start of the video to its end."""
    segments = Segments()
    ended = [
        segment
        for number, seen in enumerate(frames)
        for segment in segments.add(number * STEP_MS, seen)
    ]
    return ended + segments.finish()


def test_consecutive_frames_are_one_segment_with_the_highest_confidence() -> None:
    assert merge([{"Cat": 60.0}, {"Cat": 90.0}, {"Cat": 70.0}]) == [Segment("Cat", 0, 1000, 90.0)]


def test_a_frame_without_it_ends_a_segment_with_the_frame_before() -> None:
    assert merge([{"Cat": 60.0}, {"Cat": 61.0}, {}, {"Cat": 62.0}]) == [
        Segment("Cat", 0, 500, 61.0),
        Segment("Cat", 1500, 1500, 62.0),
    ]


def test_names_begin_and_end_on_their_own() -> None:
    assert merge([{"Cat": 60.0}, {"Cat": 60.0, "Dog": 70.0}, {"Dog": 71.0}]) == [
        Segment("Cat", 0, 500, 60.0),
        Segment("Dog", 500, 1000, 71.0),
    ]


def test_a_segment_is_told_as_soon_as_it_has_ended() -> None:
    segments = Segments()
    assert segments.add(0, {"Cat": 60.0}) == []
    assert segments.add(500, {}) == [Segment("Cat", 0, 0, 60.0)]
    assert segments.finish() == []


def test_those_that_end_together_come_in_the_order_in_which_they_began() -> None:
    frames = [{"Zebra": 50.0}, {"Zebra": 50.0, "Dog": 60.0, "Cat": 70.0}]
    assert [segment.name for segment in merge(frames)] == ["Zebra", "Dog", "Cat"]


def test_nothing_seen_is_no_segment() -> None:
    assert merge([{}, {}]) == []
    assert merge([]) == []


NAMES = st.sampled_from("abc")
FRAMES = st.lists(st.dictionaries(NAMES, st.floats(0, 100)), max_size=30)


@given(FRAMES)
def test_segments_cover_just_the_frames_on_which_their_name_was_seen(
    frames: list[dict[str, float]],
) -> None:
    covered = [
        (segment.name, at)
        for segment in merge(frames)
        for at in range(segment.start_ms, segment.end_ms + 1, STEP_MS)
    ]
    assert sorted(covered) == sorted(
        (name, number * STEP_MS) for number, seen in enumerate(frames) for name in seen
    )


@given(FRAMES)
def test_no_two_segments_of_a_name_touch(frames: list[dict[str, float]]) -> None:
    by_name: dict[str, list[Segment]] = {}
    for segment in merge(frames):
        earlier = by_name.setdefault(segment.name, [])
        assert all(segment.start_ms > other.end_ms + STEP_MS for other in earlier)
        earlier.append(segment)


def test_an_item_says_when_and_how_long() -> None:
    item = segment_item(Segment("Cat", 500, 2000, 90.0), {"Label": {"Name": "Cat"}})
    assert item.body == {
        "Label": {"Name": "Cat"},
        "StartTimestampMillis": 500,
        "EndTimestampMillis": 2000,
        "DurationMillis": 1500,
    }
    assert (item.timestamp_ms, item.sort_key, item.confidence) == (500, "Cat", 90.0)
    assert item.aggregation is Aggregation.SEGMENTS
