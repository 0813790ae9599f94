"""Whom a face looks like and whose place it is in: all pairs at once say what each pair says."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.evidence import Evidence
from streamproc.events.identity import Sighting, sighting_of
from streamproc.events.visit import Place, Visit
from streamproc.model.face import BoundingBox, Face, Match
from tests.events.acting import COLLECTION, SIZE, a_face, nobody, similarity, turned, vector

Shown = tuple[Face, Sequence[Match]]


def somebody(*places: tuple[float, float, float], looks: tuple[int, ...] = ()) -> Visit:
    """places: x, y and when."""
    one = Visit(0.0, 0.0, BoundingBox(0.0, 0.0, 0.1, 0.1))
    for x, y, at in places:
        one.places.append(Place((x - 0.05, y - 0.05, x + 0.05, y + 0.05), at))
    for person in looks:
        one.views.add(vector(person))
    return one


def seen(*faces: Shown) -> list[Sighting]:
    return [sighting_of(face, matches, SIZE, COLLECTION) for face, matches in faces]


def evidence(people: list[Visit], *faces: Shown, at: float = 1.0) -> Evidence:
    return Evidence(people, seen(*faces), at, SIZE, similarity)


def test_the_view_that_is_most_alike_says_how_alike_somebody_is() -> None:
    alice, bob, new = somebody(looks=(1, 2, 3)), somebody(looks=(4,)), somebody()
    mixed = vector(2) * 0.8 + vector(4) * 0.6
    found = evidence([new, alice, bob], (a_face(looks=mixed), ()), turned(), nobody(4))
    assert found.likeness(alice, 0) == pytest.approx(80.0)
    assert found.likeness(bob, 0) == pytest.approx(60.0)
    assert found.likeness(new, 0) is None, "of whom nothing is known"
    assert found.likeness(alice, 1) is None, "in profile"
    assert found.likeness(bob, 2) == pytest.approx(100.0)
    assert list(found.alike(0, 50.0)) == [alice, bob]
    assert list(found.alike(0, 70.0)) == [alice]
    assert list(found.alike(1, 0.0)) == []


def test_a_place_that_is_taken_is_nobodys() -> None:
    one = somebody((0.5, 0.5, 0.8), (0.53, 0.5, 0.8))
    found = evidence([one], nobody(1, 0.52), nobody(2, 0.9))
    assert set(found.around(0)) == {one}
    assert set(found.around(1)) == set()
    near = found.near(one, 0, set())
    assert near is not None
    assert near[0] is one.places[1]
    assert near[1] == pytest.approx(0.1 / (0.8 + 1.5 * 0.2))
    near = found.near(one, 0, {one.places[1]})
    assert near is not None
    assert near[0] is one.places[0]
    assert near[1] == pytest.approx(0.2 / (0.8 + 1.5 * 0.2))
    assert found.near(one, 0, set(one.places)) is None
    assert found.near(one, 1, set()) is None


def test_a_place_grows_with_time_and_then_is_anybodys() -> None:
    one = somebody((0.5, 0.5, 0.0))
    assert evidence([one], nobody(1, 0.6), at=0.1).near(one, 0, set()) is None
    assert evidence([one], nobody(1, 0.6), at=1.0).near(one, 0, set()) is not None
    assert evidence([one], nobody(1, 0.5), at=4.1).near(one, 0, set()) is None


places = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
faces = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.sampled_from([0.0, 0.01, 0.3]))


@given(st.lists(st.lists(places, max_size=3), max_size=4), st.lists(faces, max_size=4))
def test_each_pair_is_as_far_apart_as_if_it_were_alone(
    crowd: list[list[tuple[float, float, float]]], boxes: list[tuple[float, float, float]]
) -> None:
    people = [somebody(*there, looks=(number,)) for number, there in enumerate(crowd)]
    shown = [(a_face(x, y, side, looks=vector(1)), ()) for x, y, side in boxes]
    together = evidence(people, *shown)
    for one in people:
        for number, face in enumerate(shown):
            alone = evidence([one], face)
            assert together.near(one, number, set()) == alone.near(one, 0, set())
            assert together.likeness(one, number) == alone.likeness(one, 0)


def test_nobody_and_nothing_do_no_harm() -> None:
    assert list(evidence([], nobody(1)).alike(0, 0.0)) == []
    assert evidence([somebody((0.5, 0.5, 1.0), looks=(1,))]).likeness(somebody(), 0) is None
    lone = evidence([somebody(looks=(1,))], (a_face(looks=None), ()))
    assert list(lone.alike(0, 0.0)) == []
    assert np.asarray(lone._cosines).shape == (1, 0)
