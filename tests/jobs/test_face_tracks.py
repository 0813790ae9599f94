"""Who is who in a clip."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engines.fake import FakeEngine
from streamproc.jobs import people as people_of_a_clip
from streamproc.jobs.appearance import LOOKS_MAX
from streamproc.jobs.face_tracks import LOST_AFTER_MS, FaceTracker
from streamproc.jobs.people import Person
from streamproc.model.face import Face
from streamproc.model.media import Image
from tests.jobs.people_in_clips import cosine, face, looks, painted

STEP_MS = 200


def tracked(
    frames: Sequence[Sequence[Face]], step_ms: int = STEP_MS, start_ms: int = 0
) -> tuple[list[list[int]], list[Person]]:
    """The numbers of each frame's faces, and who was there."""
    tracker = FaceTracker.calibrated(cosine)
    numbers = [tracker.add(start_ms + i * step_ms, faces) for i, faces in enumerate(frames)]
    return numbers, tracker.finish()


def in_squares(images: Sequence[Image]) -> list[list[Face]]:
    return FakeEngine().analyse(images)


def of_person(
    frames: Sequence[Sequence[Face]], numbers: Sequence[Sequence[int]], p: int
) -> set[int]:
    """The tracks that the squares of this person were given to."""
    return {
        number
        for faces, row in zip(frames, numbers, strict=True)
        for one, number in zip(faces, row, strict=True)
        if one.embedding is not None and np.argmax(one.embedding) == p
    }


def test_somebody_who_walks_past_is_one_person() -> None:
    frames = in_squares([painted((3, left, 80)) for left in range(0, 280, 40)])
    numbers, people = tracked(frames)
    assert numbers == [[0]] * 7
    assert [(one.tracks, one.spans, one.frames) for one in people] == [((0,), ((0, 1200),), 7)]


def test_people_who_cross_stay_who_they_are() -> None:
    frames = in_squares(
        [painted((2, 20 + 30 * step, 60), (9, 260 - 30 * step, 110)) for step in range(9)]
    )
    numbers, people = tracked(frames)
    first, second = of_person(frames, numbers, 2), of_person(frames, numbers, 9)
    assert (len(first), len(second), len(people)) == (1, 1, 2)
    assert first != second
    assert people[0].met(people[1])


def test_somebody_who_comes_back_elsewhere_is_the_same_person() -> None:
    away = [painted((9, 250, 20))] * 15
    frames = in_squares([painted((2, 20, 60))] * 3 + away + [painted((2, 200, 150))] * 3)
    numbers, people = tracked(frames)
    assert len(of_person(frames, numbers, 2)) == 2
    assert [one.tracks for one in people] == [(0, 2), (1,)]
    assert people[0].spans == ((0, 400), (3600, 4000))
    assert people[0].frames == 6


def test_a_short_absence_does_not_end_a_track() -> None:
    frames = [[face(0.2, looks(a=1))], *[[]] * (LOST_AFTER_MS // STEP_MS - 1)]
    numbers, people = tracked([*frames, [face(0.3, looks(a=1))]])
    assert (numbers[0], numbers[-1], len(people)) == ([0], [0], 1)


def test_twins_side_by_side_are_two_people_even_after_one_left() -> None:
    both = [face(0.1, looks(a=1)), face(0.8, looks(a=1))]
    _, people = tracked([both] * 4 + [both[:1]] * 20 + [both] * 4)
    assert [one.tracks for one in people] == [(0,), (1, 2)]
    assert people[0].met(people[1])


def test_a_cut_to_somebody_else_in_the_same_place_begins_a_track() -> None:
    _, people = tracked([[face(0.4, looks(a=1))]] * 5 + [[face(0.4, looks(b=1))]] * 5)
    assert [one.frames for one in people] == [5, 5]


def test_cutting_to_and_fro_leaves_two_people() -> None:
    shots = [[face(0.2, looks(a=1))]] * 4, [[face(0.6, looks(b=1))]] * 4
    _, people = tracked([*shots[0], *shots[1]] * 6)
    assert [one.frames for one in people] == [24, 24]


def test_a_head_that_turns_where_it_is_stays_in_its_track() -> None:
    frontal, turned = face(0.4, looks(a=1)), face(0.41, looks(a=0.2, c=1), yaw=70.0)
    numbers, _ = tracked([[frontal]] * 3 + [[turned]] * 3 + [[frontal]] * 3)
    assert numbers == [[0]] * 9


def test_a_turned_head_elsewhere_is_somebody_new() -> None:
    numbers, _ = tracked([[face(0.2, looks(a=1))], [face(0.5, looks(a=0.2, c=1), yaw=70.0)]])
    assert numbers == [[0], [1]]


def test_without_embeddings_place_alone_decides() -> None:
    walk = [[face(0.1 + 0.03 * step, None), face(0.8, None)] for step in range(6)]
    numbers, people = tracked([*walk, [face(0.5, None)]])
    assert numbers == [[0, 1]] * 6 + [[2]]
    assert not any(one.appearance for one in people)


@pytest.mark.parametrize(("alike", "people_count"), [(0.6, 2), (0.8, 1)])
def test_what_was_not_seen_clearly_must_be_much_alike(alike: float, people_count: int) -> None:
    """Blurred profiles resemble each other: what is enough for clear faces is not for them."""
    first, second = looks(a=1), looks(a=alike, b=float(np.sqrt(1 - alike**2)))

    def stays(**how: float) -> list[list[Face]]:
        absence: list[list[Face]] = [[]] * 15
        return [[face(0.2, first, **how)]] * 3 + absence + [[face(0.7, second, **how)]] * 3

    _, blurred = tracked(stays(yaw=80.0, sharpness=3.0))
    _, clear = tracked(stays())
    assert (len(blurred), len(clear)) == (people_count, 1)


def test_what_is_barely_alike_is_not_enough_to_come_back() -> None:
    """Cosine 0.4 continues a track that is near, and does not bring back a lost one."""
    alike = looks(a=0.4, b=float(np.sqrt(1 - 0.16)))
    near, _ = tracked([[face(0.2, looks(a=1))], [face(0.4, alike)]])
    assert near == [[0], [0]]
    _, people = tracked([[face(0.2, looks(a=1))]] * 3 + [[]] * 15 + [[face(0.2, alike)]] * 3)
    assert len(people) == 2


def test_the_surest_pair_is_joined_first() -> None:
    """Two faces that a track may be: the one that looks like it, not the one in its place."""
    other = face(0.2, looks(a=0.35, b=1), yaw=60.0)
    numbers, _ = tracked([[face(0.2, looks(a=1))], [other, face(0.28, looks(a=1))]])
    assert numbers == [[0], [1, 0]]


def test_a_crowd_is_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_of_a_clip, "PEOPLE_COMPARED_MAX", 2)
    visits = "abacadab"
    stays = [[face(0.2, looks(**{letter: 1.0}))] for letter in visits]
    _, people = tracked(stays, step_ms=LOST_AFTER_MS + 1)
    seen = ["".join(visits[track] for track in one.tracks) for one in people]
    # Before b came back, c and a and d had been lost: b was forgotten, and is still reported.
    assert seen == ["aaaa", "b", "c", "d", "b"]


def test_a_clip_shown_again_and_again_has_no_more_people() -> None:
    bad = face(0.7, looks(d=1), yaw=80.0)
    clip = [[face(0.1, looks(a=1))]] * 3 + [[face(0.5, looks(b=1)), bad]] * 2
    _, people = tracked(clip * 50)
    assert [one.frames for one in people] == [150, 100, 100]


def test_a_long_stay_keeps_no_more_than_a_short_one() -> None:
    rng = np.random.default_rng(3)
    tracker = FaceTracker.calibrated(cosine)
    for step in range(5 * 600):
        noise = rng.normal(scale=0.1, size=16).astype(np.float32)
        embedding = looks(a=1) + noise
        tracker.add(step * STEP_MS, [face(0.3, embedding / np.linalg.norm(embedding))])
    [person] = tracker.finish()
    assert person.frames == 3000
    assert len(person.spans) == 1
    assert len(person.appearance.looks) <= LOOKS_MAX


@st.composite
def clips(draw: st.DrawFn) -> list[list[Face]]:
    def anybody(draw: st.DrawFn) -> Face:
        vector = draw(st.sampled_from([None, looks(a=1), looks(b=1), looks(a=1, b=1), looks(c=1)]))
        return face(
            draw(st.floats(-0.2, 1.0)),
            vector,
            top=draw(st.floats(0.0, 0.9)),
            confidence=draw(st.floats(50.0, 100.0)),
            yaw=draw(st.floats(-180.0, 180.0)),
        )

    return draw(st.lists(st.lists(st.composite(anybody)(), max_size=5), max_size=12))


@settings(max_examples=60, deadline=None)
@given(clips(), st.integers(30, 3000), st.integers(0, 10**7))
def test_whatever_is_seen(frames: list[list[Face]], step_ms: int, later_ms: int) -> None:
    numbers, people = tracked(frames, step_ms)
    for faces, row in zip(frames, numbers, strict=True):
        assert len(row) == len(faces)
        assert len(set(row)) == len(row), "one face per track per frame"
    given_out = [number for row in numbers for number in row]
    # Tracks count up from 0 in the order in which they begin, and each is one person's.
    assert list(dict.fromkeys(given_out)) == list(range(len(set(given_out))))
    assert sorted(track for one in people for track in one.tracks) == sorted(set(given_out))
    assert sum(one.frames for one in people) == len(given_out)
    assert [one.tracks[0] for one in people] == sorted(one.tracks[0] for one in people)
    for one in people:
        mine = [sum(track in one.tracks for track in row) for row in numbers]
        assert max(mine) == 1, "nobody is twice in one frame"
    again, same = tracked(frames, step_ms, later_ms)
    assert again == numbers
    assert [one.tracks for one in same] == [one.tracks for one in people]


def test_cosines_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"surely_same_cosine 0\.3 must be above same_cosine 0\.5"):
        FaceTracker(same_cosine=0.5, surely_same_cosine=0.3)
