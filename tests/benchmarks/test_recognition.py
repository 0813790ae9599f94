"""A face shown is judged once: right, wrong, unnamed or unseen."""

import pytest

from benchmarks.labelled import Label
from benchmarks.recognition import judged

ANN = Label("ann", 100, 100, 50, counts=True)
STRANGER = Label(None, 300, 100, 50, counts=True)
HIDDEN = Label("bob", 500, 100, 50, counts=False)


@pytest.mark.parametrize(
    ("label", "named", "outcomes"),
    [
        (ANN, [(110, 95, "ann")], ["right"]),
        (ANN, [(110, 95, "bob")], ["wrong"]),
        (ANN, [(110, 95, None)], ["unnamed"]),
        (ANN, [], ["unseen"]),
        (ANN, [(200, 95, None)], ["unseen"]),
        (STRANGER, [(300, 100, None)], ["stranger"]),
        (STRANGER, [], ["stranger"]),
        (STRANGER, [(300, 100, "ann")], ["wrong"]),
        (HIDDEN, [], []),
        (HIDDEN, [(500, 100, "bob")], []),
    ],
)
def test_what_is_said_of_a_face_is_judged(
    label: Label, named: list[tuple[float, float, str | None]], outcomes: list[str]
) -> None:
    assert judged([label], named) == outcomes


def test_a_name_where_nobody_is_shown_is_wrong() -> None:
    assert judged([ANN], [(100, 100, "ann"), (900, 500, "bob")]) == ["right", "wrong"]


def test_faces_side_by_side_are_not_taken_for_each_other() -> None:
    assert judged([ANN, STRANGER], [(298, 100, None), (101, 100, "ann")]) == ["right", "stranger"]
