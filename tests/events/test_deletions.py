"""No frame that was searched before a face was deleted brings it back; one searched after may."""

import pytest

from streamproc.events import deletions
from streamproc.events.deletions import Deletions, Found
from tests.events.acting import known

REGION = "us-east-1"
FRAME: Found = [known("alice", 1), known("bob", 2)]


def names(found: Found) -> list[list[str]]:
    return [[match.face.face_id for match in matches] for _, matches in found]


def test_only_what_was_deleted_since_the_search_may_have_begun_is_left_out() -> None:
    gone = Deletions()
    gone.note(REGION, "people", ["face-alice"], at=10.0)
    assert names(gone.without(REGION, "people", FRAME, since=9.0)) == [[], ["face-bob"]]
    assert names(gone.without(REGION, "people", FRAME, since=10.0)) == [[], ["face-bob"]]
    assert gone.without(REGION, "people", FRAME, since=11.0) is FRAME
    assert gone.without(REGION, "others", FRAME, since=9.0) is FRAME
    assert gone.without("eu-west-1", "people", FRAME, since=9.0) is FRAME


def test_a_collection_that_is_deleted_leaves_nobody_and_another_of_its_name_is_new() -> None:
    gone = Deletions()
    gone.note(REGION, "people", None, at=10.0)
    gone.note(REGION, "people", ["face-carol"], at=12.0)
    assert names(gone.without(REGION, "people", FRAME, since=9.0)) == [[], []]
    assert names(gone.without(REGION, "people", FRAME, since=11.0)) == [
        ["face-alice"], ["face-bob"],
    ]  # fmt: skip


def test_what_is_listed_is_bounded_and_nobody_comes_back_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deletions, "LISTED_MAX", 3)
    gone = Deletions()
    for number in range(10):
        gone.note(REGION, "people", [f"face-{number}"], at=float(number))
    gone.note(REGION, "people", ["face-alice"], at=10.0)
    assert names(gone.without(REGION, "people", FRAME, since=1.0))[0] == []
    gone.prune(before=11.0)
    assert gone.without(REGION, "people", FRAME, since=1.0) is FRAME
