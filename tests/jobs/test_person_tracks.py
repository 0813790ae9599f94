"""Persons followed by their boxes alone: walkers on paper."""

import itertools
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence

import pytest

from streamproc.jobs.person_tracks import FORGOTTEN_S, Person, PersonTracker
from streamproc.model.detection import Detection
from streamproc.model.face import BoundingBox

FPS = 5.0

Seen = dict[int, list[float]]
"""By Index, the seconds at which somebody was listed."""


def body(left: float, top: float = 0.2, confidence: float = 85.0) -> Person:
    """Somebody 0.15 wide and 0.7 high."""
    return Person(Detection("person", confidence, BoundingBox(left, top, 0.15, 0.7)))


def follow(frames: Iterable[Sequence[Person]], fps: float = FPS) -> Seen:
    tracker = PersonTracker(fps)
    sightings = []
    for number, persons in enumerate(frames):
        sightings += tracker.add(int(number * 1000 / fps), persons)
    rest, indices = tracker.finish()
    seen: Seen = {}
    for sighting in sightings + rest:
        seen.setdefault(indices[sighting.track], []).append(sighting.timestamp_ms / 1000)
    return {index: seen[index] for index in sorted(seen)}


def walk(start: float, speed: float, seconds: float, fps: float = FPS) -> Iterator[float]:
    """Where somebody is in each frame; speed in widths of the picture per second."""
    return (start + speed * frame / fps for frame in range(round(seconds * fps)))


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0])
def test_somebody_who_walks_through_is_one_person_from_the_first_frame_to_the_last(
    fps: float,
) -> None:
    (seconds,) = follow(([body(left)] for left in walk(0.0, 0.2, 4.0, fps)), fps).values()
    assert seconds == [frame / fps for frame in range(round(4 * fps))]


def test_two_who_cross_keep_their_indices() -> None:
    tracker = PersonTracker(FPS)
    told = []
    for number, left in enumerate(walk(0.0, 0.16, 5.0)):
        pair = [body(left, top=0.15), body(0.8 - left, top=0.3)]
        told += tracker.add(number * 200, pair if number % 2 else pair[::-1])
    _, indices = tracker.finish()
    by_height: dict[float, set[int]] = {}
    for sighting in told:
        by_height.setdefault(sighting.person.body.box.top, set()).add(indices[sighting.track])
    assert sorted(by_height.values(), key=min) == [{0}, {1}]
    assert len(told) == 2 * 25


def test_the_index_counts_who_comes_and_nothing_else() -> None:
    def persons(frame: int) -> Iterator[Person]:
        yield body(0.8)
        if 3 <= frame < 12 or frame >= 25:
            yield body(0.1)  # one, and long after him another
        if frame == 15:
            yield body(0.45, confidence=95.0)  # a whim of the detector

    seen = follow([list(persons(frame)) for frame in range(40)])
    assert {index: seconds[0] for index, seconds in seen.items()} == {0: 0.0, 1: 0.6, 2: 5.0}
    assert [len(seconds) for seconds in seen.values()] == [40, 9, 15]


def test_nobody_begins_unsure_but_who_began_goes_on() -> None:
    walks_out = [[body(0.5 + 0.03 * step, confidence=80 - 8 * step)] for step in range(8)]
    (seconds,) = follow(walks_out).values()
    assert len(seconds) == 8  # down to 24
    assert follow([[body(0.5, confidence=45.0)]] * 20) == {}


@pytest.mark.parametrize("out_of_sight_s", [0.4, 1.0, 1.6])
def test_who_is_hidden_for_a_moment_is_known_again(out_of_sight_s: float) -> None:
    def hidden(frame: int) -> bool:
        return 8 <= frame < 8 + out_of_sight_s * FPS

    lefts = list(walk(0.0, 0.12, 6.0))
    walks_on = [[] if hidden(frame) else [body(left)] for frame, left in enumerate(lefts)]
    assert len(follow(walks_on)) == 1
    stops = [
        [] if hidden(frame) else [body(min(left, lefts[8]))] for frame, left in enumerate(lefts)
    ]
    assert len(follow(stops)) == 1


def test_who_comes_long_after_another_left_is_somebody_else() -> None:
    nobody: list[Person] = []
    pause = [nobody] * round((FORGOTTEN_S + 0.4) * FPS)
    assert len(follow([*[[body(0.4)]] * 10, *pause, *[[body(0.4)]] * 10])) == 2


def test_who_comes_in_elsewhere_is_somebody_else_at_once() -> None:
    assert len(follow([*[[body(0.8)]] * 10, *[[body(0.1)]] * 10])) == 2


def test_no_two_in_one_frame_have_one_index() -> None:
    crowd = [
        [body(0.05 * place + 0.01 * (frame % 3)) for place in range(16)] for frame in range(20)
    ]
    tracker = PersonTracker(FPS)
    for number, persons in enumerate(crowd):
        tracks = [sighting.track for sighting in tracker.add(number * 200, persons) if number > 2]
        assert len(tracks) == len(set(tracks))


def test_in_a_video_of_a_frame_or_two_everybody_counts() -> None:
    assert follow([[body(0.1), body(0.6)]]) == {0: [0.0], 1: [0.0]}
    assert follow([[body(0.1), body(0.6)], [body(0.1)]]) == {0: [0.0, 0.2], 1: [0.0]}


def test_in_a_video_slower_than_asked_for_a_person_needs_no_more_time() -> None:
    """One frame a second: somebody who stays for two of them is no whim of the detector."""
    tracker = PersonTracker(FPS)
    told = []
    for second in range(20):
        told += tracker.add(second * 1000, [body(0.4)] if second in (9, 10) else [])
    rest, indices = tracker.finish()
    assert [sighting.timestamp_ms for sighting in told + rest] == [9000, 10000]
    assert list(indices.values()) == [0]
    assert follow([[body(0.1), body(0.6)], [body(0.1)]], 1.0) == {0: [0.0, 1.0], 1: [0.0]}


def test_time_that_stands_still_does_no_harm() -> None:
    tracker = PersonTracker(FPS)
    told = [one for _ in range(5) for one in tracker.add(1000, [body(0.4)])]
    assert len(told) == 5
    assert {one.track for one in told} == {told[0].track}


def test_a_video_without_persons_has_none() -> None:
    assert follow([]) == {}
    assert follow([[]] * 10) == {}


def test_memory_does_not_grow_with_the_video() -> None:
    tracker = PersonTracker(FPS)
    times_ms = itertools.count(0, 200)

    def pass_by(people: int) -> None:
        for _ in range(people):
            for left in walk(0.0, 0.4, 2.0):
                tracker.add(next(times_ms), [body(left), body(0.9 - left, confidence=30.0)])

    tracemalloc.start()
    try:
        pass_by(5)
        before, _ = tracemalloc.get_traced_memory()
        pass_by(25)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
