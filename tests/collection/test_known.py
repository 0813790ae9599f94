"""What searches answer with, in memory: never older than the database."""

from dataclasses import replace

import pytest

from streamproc.collection import known as module
from streamproc.collection.known import Known
from streamproc.collection.schema import CollectionInfo
from streamproc.model.face import BoundingBox, IndexedFace
from tests.collection.vectors import REGION

TEAM = CollectionInfo(1, REGION, "team", "arn", "1.8", "squares", 0.0, 5, 2)


class Commits:
    """A database's stamp."""

    def __init__(self) -> None:
        self.count = 0

    def stamp(self) -> tuple[int, ...]:
        return (self.count,)


def face(number: int) -> IndexedFace:
    return IndexedFace(str(number), "image", None, BoundingBox(0, 0, 1, 1), 99.0, "1.8")


def test_a_collection_is_known_until_something_is_committed() -> None:
    commits = Commits()
    known = Known(commits.stamp)
    assert known.collection(REGION, "team") is None
    known.keep_collection(TEAM, known.stamp())
    assert known.collection(REGION, "team") == TEAM
    assert known.collection("elsewhere", "team") is None
    commits.count += 1
    assert known.collection(REGION, "team") is None


def test_what_was_read_before_a_commit_is_not_kept_after_it() -> None:
    commits = Commits()
    known = Known(commits.stamp)
    before = known.stamp()
    commits.count += 1
    known.keep_collection(replace(TEAM, collection_id="new"), known.stamp())
    known.keep_collection(TEAM, before)
    assert known.collection(REGION, "team") is None
    assert known.collection(REGION, "new") is None


def keep(known: Known, *keys: int, collection: CollectionInfo = TEAM) -> None:
    known.keep_faces(collection, {key: face(key) for key in keys}, known.stamp())


def known_of(known: Known, *keys: int) -> list[int]:
    return [key for key in keys if known.face(key) is not None]


def test_a_deleted_face_is_forgotten() -> None:
    known = Known(Commits().stamp)
    keep(known, 1, 2)
    known.forget([1, 3])
    assert known.face(1) is None
    assert known.face(2) == face(2)


def test_of_a_deleted_collection_no_face_is_known() -> None:
    known = Known(Commits().stamp)
    keep(known, 1, 2)
    keep(known, 3, collection=replace(TEAM, key=2))
    known.forget_all_of(TEAM)
    assert known_of(known, 1, 2, 3) == [3]


def test_a_face_that_may_have_been_deleted_since_it_was_read_is_not_kept() -> None:
    commits = Commits()
    known = Known(commits.stamp)
    before = known.stamp()
    commits.count += 1
    known.keep_faces(TEAM, {1: face(1)}, before)
    assert known.face(1) is None


def test_the_faces_found_longest_ago_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FACES_MAX", 2)
    known = Known(Commits().stamp)
    keep(known, 1, 2)
    known.face(1)
    keep(known, 3)
    assert known_of(known, 1, 2, 3) == [1, 3]
