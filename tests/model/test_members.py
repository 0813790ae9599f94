"""What a face is called in JSON, and that records tell no more of it than they ever did."""

from streamproc.model.face import BoundingBox, Face, Landmark, Rated, Traits
from streamproc.model.members import (
    ALL_LANDMARKS,
    FIVE_LANDMARKS,
    asks_for_more,
    face_detail,
    face_members,
)

PLAIN = Face(
    BoundingBox(0.1, 0.2, 0.3, 0.4),
    99.0,
    tuple(Landmark(name, 0.2, 0.3) for name in FIVE_LANDMARKS),
)
MEASURED = Face(
    PLAIN.box,
    PLAIN.confidence,
    tuple(Landmark(name, 0.2, 0.3) for name in reversed(ALL_LANDMARKS)),
    age=30,
    gender="Male",
    traits=Traits(smile=Rated(False, 70.0), emotions=(("CALM", 80.0), ("SAD", 20.0))),
)


def test_by_default_a_measured_face_reads_like_any_other() -> None:
    assert face_detail(MEASURED) == face_detail(PLAIN) == face_detail(MEASURED, ["DEFAULT"])
    assert face_members(MEASURED, FIVE_LANDMARKS) == face_members(PLAIN, FIVE_LANDMARKS)


def test_what_no_model_measured_is_left_out_even_of_all() -> None:
    detail = face_detail(MEASURED, ["ALL"])
    by_default = set(face_detail(PLAIN))
    assert set(detail) - by_default == {"AgeRange", "Gender", "Smile", "Emotions"}
    assert detail["Smile"] == {"Value": False, "Confidence": 70.0}
    assert [mark["Type"] for mark in detail["Landmarks"]] == list(ALL_LANDMARKS)
    assert set(face_detail(PLAIN, ["ALL"])) == by_default


def test_engines_are_asked_only_for_what_could_be_measured() -> None:
    assert not asks_for_more([])
    assert not asks_for_more(["DEFAULT", "BEARD", "SUNGLASSES", "FACE_OCCLUDED", "EYE_DIRECTION"])
    for attribute in (
        "ALL",
        "AGE_RANGE",
        "SMILE",
        "EYEGLASSES",
        "EYES_OPEN",
        "MOUTH_OPEN",
        "EMOTIONS",
        "GENDER",
    ):
        assert asks_for_more(["DEFAULT", attribute])
