"""Whatever is said of a face is judged once, and no wrong name is overlooked."""

import pytest

from benchmarks.labelled import Label
from benchmarks.recognition import Named, judged

ANN = Label("ann", 100, 100, 50, counts=True)
STRANGER = Label(None, 300, 100, 50, counts=True)
HIDDEN = Label("bob", 500, 100, 50, counts=False)
NOBODY_KNOWN = Label(None, 500, 100, 50, counts=False)


def outcomes(labels: list[Label], faces: list[Named]) -> list[str]:
    return [outcome for outcome, _ in judged(labels, faces)]


@pytest.mark.parametrize(
    ("label", "faces", "expected"),
    [
        (ANN, [Named(110, 95, "ann")], ["right"]),
        (ANN, [Named(110, 95, "bob")], ["wrong"]),
        (ANN, [Named(110, 95, None)], ["unnamed"]),
        (ANN, [], ["unseen"]),
        (ANN, [Named(200, 95, None)], ["unseen"]),
        (STRANGER, [Named(300, 100, None)], ["stranger"]),
        (STRANGER, [], ["stranger"]),
        (STRANGER, [Named(300, 100, "ann")], ["wrong: stranger"]),
        (HIDDEN, [], []),
        (HIDDEN, [Named(500, 100, None)], []),
        (HIDDEN, [Named(500, 100, "bob")], []),
        (HIDDEN, [Named(500, 100, "ann")], ["wrong: half hidden"]),
        (NOBODY_KNOWN, [Named(500, 100, "ann")], ["wrong: half hidden"]),
    ],
)
def test_what_is_said_of_a_face_is_judged(
    label: Label, faces: list[Named], expected: list[str]
) -> None:
    assert outcomes([label], faces) == expected


def test_a_name_where_nobody_is_shown_is_wrong_whoever_is_in_the_picture() -> None:
    assert outcomes([ANN], [Named(100, 100, "ann"), Named(900, 500, "ann")]) == [
        "right",
        "wrong: nobody",
    ]
    assert outcomes([ANN], [Named(900, 500, "bob")]) == ["unseen", "wrong: nobody"]


def test_a_wrong_name_comes_with_the_face_that_carries_it() -> None:
    mistaken = Named(300, 100, "ann", cosine=0.41)
    assert judged([ANN, STRANGER], [mistaken]) == [("unseen", None), ("wrong: stranger", mistaken)]


def test_faces_side_by_side_are_not_taken_for_each_other() -> None:
    faces = [Named(298, 100, None), Named(101, 100, "ann")]
    assert outcomes([ANN, STRANGER], faces) == ["right", "stranger"]


def test_a_face_found_twice_is_one_persons() -> None:
    faces = [Named(110, 100, "ann"), Named(101, 100, "ann"), Named(112, 100, None)]
    assert outcomes([ANN], faces) == ["right"]


def test_of_two_who_overlap_the_one_in_front_is_judged() -> None:
    behind = Label("bob", 110, 100, 50, counts=False)
    assert outcomes([behind, ANN], [Named(108, 100, "ann")]) == ["right"]
    assert outcomes([behind, ANN], [Named(108, 100, "bob")]) == ["wrong"]
    assert outcomes([behind, ANN], [Named(112, 100, "ann"), Named(101, 100, "ann")]) == [
        "right",
        "wrong: half hidden",
    ]
