"""What somebody looks like: many pictures, few vectors."""

import numpy as np
import pytest

from streamproc.jobs.appearance import CLEAR, LOOKS_MAX, Appearance, evidence
from streamproc.model.face import BoundingBox, Face
from tests.jobs.people_in_clips import face, looks


def test_a_sharp_frontal_face_is_worth_most() -> None:
    best = evidence(face(0.1, None, confidence=95.0, sharpness=60.0))
    assert CLEAR < best <= 1.0
    assert evidence(face(0.1, None, confidence=55.0)) < CLEAR
    assert evidence(face(0.1, None, yaw=75.0)) < CLEAR
    assert evidence(face(0.1, None, sharpness=2.0)) < best / 2


@pytest.mark.parametrize("yaw", [90.0, 120.0, -179.0])
def test_no_face_is_worth_nothing_at_all(yaw: float) -> None:
    assert evidence(face(0.1, None, yaw=yaw, confidence=50.0)) > 0.0


def test_what_was_not_measured_is_not_held_against_a_face() -> None:
    assert evidence(Face(BoundingBox(0.1, 0.1, 0.1, 0.1), 99.0)) == 1.0


def test_the_whole_is_the_mean_weighted_by_evidence() -> None:
    appearance = Appearance(0.5)
    appearance.see(looks(a=1), 0.9)
    appearance.see(looks(b=1), 0.3)
    whole = appearance.whole()
    np.testing.assert_allclose(whole.embedding, looks(a=0.9, b=0.3), atol=1e-6)
    assert whole.frames == 2
    assert whole.weight == pytest.approx(1.2)


def test_pictures_that_resemble_each_other_are_one_look() -> None:
    appearance = Appearance(0.5)
    for embedding in (looks(a=1), looks(b=1), looks(a=1, b=0.1), looks(a=1, c=0.2)):
        appearance.see(embedding, 1.0)
    assert [look.frames for look in appearance.looks] == [3, 1]


def test_however_long_it_lasts_few_vectors_are_kept() -> None:
    appearance = Appearance(0.5)
    rng = np.random.default_rng(1)
    for _ in range(500):
        vector = rng.normal(size=16).astype(np.float32)
        appearance.see(vector / np.linalg.norm(vector), 1.0)
    assert len(appearance.looks) == LOOKS_MAX
    assert appearance.whole().frames == 500
    assert len(list(appearance.vectors())) == LOOKS_MAX + 1


def test_two_stays_of_one_person_add_up() -> None:
    first, second, both = Appearance(0.5), Appearance(0.5), Appearance(0.5)
    for appearance in (first, both):
        appearance.see(looks(a=1), 0.5)
    for appearance in (second, both):
        appearance.see(looks(a=1, b=0.2), 0.7)
    first.merge(second)
    assert [look.frames for look in first.looks] == [2]
    np.testing.assert_allclose(first.whole().embedding, both.whole().embedding, atol=1e-6)


def test_nothing_seen_has_no_whole() -> None:
    assert not Appearance(0.5)
    with pytest.raises(ValueError, match="no embedding"):
        Appearance(0.5).whole()
