"""A visit is one event and not a flood: one enter, one exit, whatever happens in between."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.events.visits import Change, VisitPolicy, Visits
from streamproc.model.event import EventKind
from streamproc.model.face import BoundingBox, Face, IndexedFace, Match
from tests.events.acting import (
    COLLECTION,
    KEY,
    SIZE,
    Stage,
    a_face,
    known,
    lines,
    match_of,
    nobody,
    similarity,
    turned,
    vector,
)


def test_a_known_person_comes_and_goes_once() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.play(10)
    assert lines(stage.told) == ["enter alice", "exit alice left"]
    enter, left = stage.told[0], stage.told[-1]
    assert enter.body["Person"] == {
        "Name": "alice", "Known": True, "CollectionId": COLLECTION, "FaceId": "face-alice",
        "ExternalImageId": "alice", "Similarity": 98.0,
    }  # fmt: skip
    assert enter.body["FirstSeen"] == "1970-01-01T00:16:40.000Z"
    assert left.body["DurationSeconds"] == pytest.approx(2.8)
    assert left.body["Frames"] == 15
    assert 1002.8 + 5 < left.at <= 1002.8 + 5.4


def test_one_frame_is_not_enough_at_five_a_second() -> None:
    stage = Stage()
    stage.play(1)
    stage.frame(known("alice", 1))
    stage.play(10)
    assert stage.told == []


def test_two_of_three_frames_are() -> None:
    stage = Stage()
    stage.play(0.2, known("alice", 1))
    stage.play(0.2)
    assert lines(stage.play(0.2, known("alice", 1))) == ["enter alice"]


def test_at_one_frame_a_second_one_sure_frame_is_enough() -> None:
    stage = Stage()
    stage.play(2, fps=1)
    assert lines(stage.play(1, known("alice", 1, at=99.0), fps=1)) == ["enter alice"]
    unsure = Stage()
    unsure.play(2, fps=1)
    assert unsure.play(1, known("alice", 1, at=91.0), fps=1) == []
    assert lines(unsure.play(1, known("alice", 1, at=91.0), fps=1)) == ["enter alice"]


def test_who_turns_away_or_is_covered_stays() -> None:
    stage = Stage()
    stage.play(2, known("alice", 1))
    for second in range(20):
        stage.play(1, turned(seed=second))
    stage.play(3)  # covered
    stage.play(2, turned())
    stage.play(4)
    stage.play(1, known("alice", 1))
    assert lines(stage.told) == ["enter alice"]
    stage.play(10)
    assert lines(stage.told) == ["enter alice", "exit alice left"]


def test_blurred_or_turned_passers_by_are_no_strangers() -> None:
    stage = Stage()
    stage.play(10, turned(0.2), nobody(3, 0.8, sharpness=3.0))
    stage.play(20)
    assert stage.told == []


def test_a_blurred_match_keeps_somebody_here_but_brings_nobody() -> None:
    stage = Stage()
    stage.play(10, known("bob", 2, sharpness=5.0))
    assert stage.told == []
    stage.play(20)
    stage.play(1, known("alice", 1))
    stage.play(30, known("alice", 1, sharpness=5.0))
    assert lines(stage.told) == ["enter alice"]


def test_a_stranger_has_a_number_and_keeps_it_for_a_while() -> None:
    stage = Stage()
    stage.play(3, nobody(3))
    stage.play(20)
    stage.play(3, nobody(3, 0.1))
    stage.play(20)
    stage.play(3, nobody(4))
    assert lines(stage.told) == [
        "enter unknown-1", "exit unknown-1 left",
        "enter unknown-1", "exit unknown-1 left",
        "enter unknown-2",
    ]  # fmt: skip
    stage.play(90)
    stage.play(3, nobody(3))
    assert lines(stage.told)[-1] == "enter unknown-3", "forgotten after stranger_memory_s"


def test_nobody_tells_of_strangers_where_that_is_off() -> None:
    stage = Stage(strangers=False)
    stage.play(10, nobody(3), known("alice", 1, 0.2))
    assert lines(stage.told) == ["enter alice"]


def test_a_stranger_who_is_recognised_leaves_under_their_name() -> None:
    stage = Stage()
    stage.play(3, nobody(1))
    stage.play(3, known("alice", 1))
    stage.play(10)
    assert lines(stage.told) == [
        "enter unknown-1", "update alice unknown-1", "exit alice left",
    ]  # fmt: skip
    assert len({change.body["VisitId"] for change in stage.told}) == 1


def test_a_stranger_who_turns_out_to_be_here_already_merges() -> None:
    stage = Stage()
    stage.play(2, known("alice", 1, 0.2))
    # The camera has lost her; at the other end somebody nobody knows, who looks different.
    stage.play(3, nobody(2, 0.8))
    recognised = a_face(0.8, looks=vector(2)), (match_of("alice"),)
    stage.play(2, recognised)
    stage.play(10)
    assert lines(stage.told) == [
        "enter alice", "enter unknown-1", "update alice unknown-1", "exit alice merged",
        "exit alice left",
    ]  # fmt: skip
    merged = stage.told[-2]
    assert merged.body["MergedInto"] == stage.told[0].body["VisitId"]


def test_names_never_swap_where_two_cross() -> None:
    stage = Stage()
    owners: list[Any] = []
    for step in range(60):
        left, right = 0.1 + step * 0.8 / 59, 0.9 - step * 0.8 / 59
        if 22 <= step <= 37:  # side by side, both in profile
            stage.frame(turned(left, seed=step), turned(right, seed=100 + step))
        else:
            stage.frame(known("alice", 1, left), nobody(2, right))
        owners.append([owner.name if owner else None for owner in stage.visits.owners])
        stage.now += 0.2
    assert owners[21] == owners[-1] == ["alice", "unknown-1"]
    stage.play(10)
    assert sorted(lines(stage.told)) == [
        "enter alice", "enter unknown-1", "exit alice left", "exit unknown-1 left",
    ]  # fmt: skip


def test_two_strangers_who_cross_keep_their_numbers() -> None:
    stage = Stage()
    for step in range(60):
        left, right = 0.1 + step * 0.8 / 59, 0.9 - step * 0.8 / 59
        stage.frame(nobody(3, left), nobody(4, right))
        if step == 20:
            before = [owner.name if owner else None for owner in stage.visits.owners]
        stage.now += 0.2
    assert [owner.name if owner else None for owner in stage.visits.owners] == before
    assert sorted(lines(stage.told)) == ["enter unknown-1", "enter unknown-2"]


def like(person: int, other: int, cosine: float, **more: Any) -> tuple[Face, Any]:
    """Somebody whom nobody recognises, and who looks a little like another."""
    looks = vector(person) * cosine + vector(other) * (1 - cosine**2) ** 0.5
    return a_face(looks=looks.astype(np.float32), **more), ()


def test_who_takes_anothers_place_at_once_does_not_keep_their_name() -> None:
    stage = Stage()
    stage.play(2, known("alice", 1))
    stage.play(10, like(1, 2, 0.3, x=0.52))
    assert lines(stage.told) == ["enter alice", "enter unknown-1", "exit alice left"]
    assert stage.told[-1].body["LastSeen"] <= "1970-01-01T00:16:44.000Z", "2 s and a moment"


def test_a_clear_face_that_nothing_confirms_keeps_no_name_for_long() -> None:
    stage = Stage()
    stage.play(2, known("alice", 1))
    stage.play(20, like(1, 2, 0.6))
    assert lines(stage.told) == ["enter alice", "enter unknown-1", "exit alice left"]
    assert stage.told[-1].body["LastSeen"] <= "1970-01-01T00:16:47.400Z"


def test_a_face_that_tells_nothing_keeps_a_name_for_a_minute_at_most() -> None:
    stage = Stage()
    stage.play(2, known("alice", 1))
    for second in range(50):
        stage.play(1, turned(seed=second))
    assert lines(stage.told) == ["enter alice"]
    for second in range(20):
        stage.play(1, turned(seed=second))
    assert lines(stage.told) == ["enter alice", "exit alice left"]


def test_who_covers_a_stranger_for_a_moment_is_not_them() -> None:
    stage = Stage()
    stage.play(3, nobody(1))
    face, _ = like(1, 2, 0.3, x=0.52)
    stage.play(0.6, (face, (match_of("alice", 99.0),)))
    stage.play(5, nobody(1), known("carol", 5, 0.9, 0.9))
    assert "update alice unknown-1" not in lines(stage.told)
    assert {visit.name for visit in stage.visits.open} >= {"unknown-1", "carol"}


@pytest.mark.parametrize("somebody", [known("alice", 1, 0.2), nobody(1, 0.2)])
def test_a_mirror_is_no_second_person(somebody: Any) -> None:
    stage = Stage()
    face, matches = somebody
    mirrored = a_face(0.8, looks=face.embedding), matches
    stage.play(5, somebody, mirrored)
    stage.play(5, somebody)
    stage.play(5, mirrored)
    stage.play(20)
    assert [change.kind for change in stage.told if change.kind is not EventKind.UPDATE] == [
        EventKind.ENTER, EventKind.EXIT,
    ]  # fmt: skip


def test_another_person_in_the_same_place_is_another_visit() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.play(0.8)
    stage.play(8, nobody(2))
    stage.play(0.8)
    stage.play(8, known("bob", 3))
    assert lines(stage.told) == [
        "enter alice", "enter unknown-1", "exit alice left", "enter bob", "exit unknown-1 left",
    ]  # fmt: skip


def test_a_second_best_match_does_not_become_a_second_visit() -> None:
    """Twins: the better match changes from frame to frame."""
    stage = Stage()
    looks = vector(1)
    stage.play(1, (a_face(looks=looks), (match_of("alice", 97.0),)))
    for _ in range(20):
        stage.play(0.2, (a_face(looks=looks), (match_of("anna", 96.0), match_of("alice", 95.0))))
        stage.play(0.2, (a_face(looks=looks), (match_of("alice", 96.0), match_of("anna", 95.0))))
    assert lines(stage.told) == ["enter alice"]


def test_updates_come_only_when_something_changed() -> None:
    stage = Stage()
    stage.play(60, known("alice", 1))
    assert [change.kind for change in stage.told] == [EventKind.ENTER]
    stage.play(20, known("alice", 1, 0.8))
    assert [change.body.get("Change") for change in stage.told] == [None, "progress"]
    for step in range(300):
        stage.frame(known("alice", 1, 0.1 + (step % 9) / 10))
        stage.now += 0.2
    updates = [change.at for change in stage.told if change.body.get("Change") == "progress"]
    assert min(np.diff(updates)) >= 10.0


def test_video_that_is_lost_ends_visits_and_not_as_left() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.now += 60
    stage.play(3, known("alice", 1))
    assert lines(stage.told) == ["enter alice", "exit alice video-lost", "enter alice"]


def test_frames_far_apart_are_no_reason_to_leave() -> None:
    stage = Stage()
    for _ in range(10):
        stage.frame(known("alice", 1, at=99.0))
        stage.now += 8
    assert lines(stage.told) == ["enter alice"]


def test_a_restart_goes_on_with_who_is_here_and_repeats_nothing() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1, 0.2), nobody(2, 0.8))
    at = stage.now
    stage.restarted()
    stage.now = at - 2
    stage.play(6, known("alice", 1, 0.2), nobody(2, 0.8))
    assert lines(stage.told) == ["enter alice", "enter unknown-1"]
    assert stage.visits.repeated_total in {9, 10}
    stage.play(10)
    assert sorted(lines(stage.told)[2:]) == ["exit alice left", "exit unknown-1 left"]
    stage.play(3, nobody(5))
    assert lines(stage.told)[-1] == "enter unknown-2", "numbers are never used again"


def test_after_a_long_pause_only_names_go_on() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1, 0.2), nobody(2, 0.8))
    stage.restarted()
    stage.now += 60
    stage.play(3, known("alice", 1, 0.2), nobody(2, 0.8))
    assert lines(stage.told) == [
        "enter alice", "enter unknown-1", "exit unknown-1 video-lost", "enter unknown-2",
    ]  # fmt: skip


def test_after_a_restart_no_place_lends_a_name() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.restarted()
    stage.now += 3
    stage.play(4, nobody(2))
    assert [visit.name for visit in stage.visits.open] == ["alice", "unknown-1"]
    assert stage.visits.owners[0] is stage.visits.open[1]
    stage.play(4, nobody(2))
    assert lines(stage.told) == ["enter alice", "enter unknown-1", "exit alice left"]
    assert stage.told[-1].body["LastSeen"] == "1970-01-01T00:16:42.800Z"


def test_after_a_restart_a_known_person_is_no_stranger_who_was_near() -> None:
    stage = Stage()
    stage.play(3, nobody(1))
    stage.restarted()
    stage.now += 3
    stage.play(8, known("alice", 2, 0.52))
    assert lines(stage.told) == ["enter unknown-1", "enter alice", "exit unknown-1 left"]


def test_a_deleted_face_is_in_doubt_after_a_restart_too() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.visits.forget(COLLECTION, ["face-alice"])
    stage.restarted()
    other = Match(
        IndexedFace("face-2", "image", "alice", BoundingBox(0.1, 0.1, 0.5, 0.5), 99.0, "1"), 91.0
    )
    stage.play(1, (a_face(looks=vector(1)), (other,)))
    [alice] = stage.visits.open
    assert alice.person is not None
    assert alice.person.face_id == "face-2"


def test_a_crash_behind_an_exit_tells_no_second_enter() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.play(5.6)
    assert lines(stage.told) == ["enter alice", "exit alice left"]
    stage.restarted()
    stage.now = 1000.0
    stage.play(3, known("alice", 1))
    stage.play(5.6)
    assert lines(stage.told) == ["enter alice", "exit alice left"]


@pytest.mark.parametrize("reason", ["stopped", "failed", "deleted"])
def test_a_processor_that_starts_again_may_see_the_same_video_again(reason: str) -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.told += stage.visits.close(reason)
    assert stage.visits.standing.media_s is None
    stage.now = 1000.0
    stage.play(3, known("alice", 1))
    assert lines(stage.told) == ["enter alice", f"exit alice {reason}", "enter alice"]
    assert stage.visits.repeated_total == 0


def test_a_clock_that_is_set_back_hides_nobody() -> None:
    stage = Stage()
    stage.play(60, known("alice", 1))
    stage.now -= 20.0
    stage.play(3, known("bob", 2))
    assert lines(stage.told) == ["enter alice", "exit alice video-lost", "enter bob"]


def test_a_restart_may_read_a_whole_minute_again() -> None:
    stage = Stage()
    stage.play(60, known("alice", 1))
    stage.restarted()
    stage.now -= 55.0
    stage.play(60, known("alice", 1))
    stage.now -= 14.0
    stage.play(16, known("alice", 1))
    assert lines(stage.told) == ["enter alice"]


def test_a_stranger_who_comes_back_after_the_video_was_lost_keeps_the_number() -> None:
    stage = Stage()
    stage.play(3, nobody(3))
    stage.told += stage.visits.lose_video()
    stage.now += 20
    stage.play(3, nobody(3))
    assert lines(stage.told) == ["enter unknown-1", "exit unknown-1 video-lost", "enter unknown-1"]


def test_another_time_begins_anew() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    stage.now = 10.0
    stage.play(3, known("alice", 1))
    assert lines(stage.told) == ["enter alice", "exit alice video-lost", "enter alice"]
    assert stage.told[1].at >= stage.told[0].at


def test_a_deleted_face_is_confirmed_by_nothing_but_another_match() -> None:
    stage = Stage()
    stage.play(3, known("alice", 1))
    assert stage.visits.forget(COLLECTION, ["face-bob"]) == []
    assert len(stage.visits.forget(COLLECTION, ["face-alice"])) == 1
    stage.play(10, nobody(1))
    assert lines(stage.told) == ["enter alice", "enter unknown-1", "exit alice left"]


def test_a_deleted_face_votes_for_nobody() -> None:
    stage = Stage()
    stage.frame(known("alice", 1))
    assert stage.visits.forget(COLLECTION, ["face-alice"]) == []
    stage.now += 0.2
    stage.frame(known("alice", 1))
    assert stage.told == [], "of two frames one was forgotten"


def test_a_frame_without_a_match_recognises_nobody() -> None:
    stage = Stage()
    stage.frame(known("alice", 1, at=99.0))
    stage.now += 1.0
    stage.frame(nobody(1))
    assert stage.told == []


def test_a_crowd_is_bounded_and_counted() -> None:
    stage = Stage(visits_max=5)
    crowd = [known(f"p{number}", number, 0.05 + number * 0.04, side=0.03) for number in range(20)]
    stage.play(5, *crowd)
    assert len(stage.visits.open) == 5
    assert stage.visits.passed_over_total == 15
    stage.play(10)
    assert len(stage.told) == 10


def test_passers_by_are_forgotten() -> None:
    stage = Stage()
    for number in range(3000):
        stage.frame(turned((number * 37 % 100) / 100, (number * 61 % 100) / 100, seed=number))
        stage.now += 0.2
    assert len(stage.visits._following.people) <= 128


# --- whatever is seen ----------------------------------------------------------------------

places = st.floats(0.0, 1.0)
people = st.integers(0, 5)


@st.composite
def any_face(draw: st.DrawFn) -> Any:
    x, y, person = draw(places), draw(places), draw(people)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return known(f"p{person}", person, x, y, at=draw(st.floats(80, 100)))
    if kind == 1:
        return nobody(person, x, y, sharpness=draw(st.sampled_from([2.0, 50.0])))
    if kind == 2:
        return turned(x, y, seed=person)
    face = a_face(x, y, looks=None, side=draw(st.sampled_from([0.0, 0.01, 0.2])))
    return face, ()


steps = st.tuples(
    st.sampled_from([0.0, 0.2, 0.2, 0.2, 1.0, 3.0, 20.0, 400.0, -0.5, -100.0]),
    st.lists(any_face(), max_size=4),
    st.sampled_from(["", "", "", "", "restart", "close", "forget"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=40), st.booleans())
def test_any_input_gives_each_visit_one_enter_then_updates_then_at_most_one_exit(
    played: list[Any], strangers: bool
) -> None:
    stage = Stage(strangers=strangers, visits_max=3, update_s=1.0)
    for elapsed, faces, then in played:
        for _ in range(3):
            stage.now = max(stage.now + elapsed, 0.0)
            stage.frame(*faces)
            assert len(stage.visits.open) <= 3
        if then == "restart":
            stage.restarted()
        elif then == "close":
            stage.told += stage.visits.close("stopped")
        elif then == "forget":
            stage.visits.forget(COLLECTION, None)
    check_each_visit(stage.told, {visit.id for visit in stage.visits.open})


def check_each_visit(told: list[Change], open_ids: set[str]) -> None:
    by_visit: dict[str, list[Change]] = {}
    for change in told:
        by_visit.setdefault(change.body["VisitId"], []).append(change)
    for visit_id, changes in by_visit.items():
        kinds = [change.kind for change in changes]
        assert kinds[0] is EventKind.ENTER
        assert kinds.count(EventKind.ENTER) == 1
        assert EventKind.EXIT not in kinds[:-1]
        assert (kinds[-1] is EventKind.EXIT) == (visit_id not in open_ids)
        times = [change.at for change in changes]
        assert times == sorted(times)
        assert all(change.body["FirstSeen"] <= change.body["LastSeen"] for change in changes)


def test_the_same_frames_give_the_same_events() -> None:
    def told() -> list[str]:
        stage = Stage()
        for seed in range(100):
            stage.frame(known("alice", 1, seed / 100), turned(0.5, seed=seed), nobody(3, 0.3))
            stage.now += 0.2
        return lines(stage.told)

    assert told() == told()


def test_a_face_without_a_vector_or_a_size_does_no_harm() -> None:
    visits = Visits(KEY, VisitPolicy(), similarity, lambda: "visit")
    for number in range(20):
        faces = [(a_face(looks=None), ()), (a_face(side=0.0, looks=vector(1)), ())]
        assert visits.saw(number / 5, SIZE, faces, COLLECTION) == []
