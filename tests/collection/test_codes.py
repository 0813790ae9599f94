"""Codes: they propose the right vectors, and forget what is taken out."""

import numpy as np
import pytest

from streamproc.collection.codes import Codes
from tests.collection.crowd import CROWD_DIMENSION, people, photos


def trained(count: int) -> Codes:
    codes = Codes(CROWD_DIMENSION)
    codes.train(people(count))
    codes.add(people(count))
    return codes


def test_a_vector_is_among_the_likeliest_to_its_own_photo() -> None:
    codes = trained(500)
    for place, photo in enumerate(photos(people(500))):
        assert place in codes.nearest(photo, 50)


@pytest.mark.parametrize("dimension", [1, 8, 63, 64, 65, 128, 200, 512, 1000])
def test_every_dimension_can_be_coded(dimension: int) -> None:
    vectors = np.random.default_rng(3).standard_normal((100, dimension)).astype(np.float32)
    codes = Codes(dimension)
    codes.train(vectors)
    assert codes.add(vectors).shape == (100, codes.code_bytes)
    assert codes.code_bytes <= 32
    assert set(codes.nearest(vectors[0], 100)) == set(range(100))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_fewer_vectors_than_centroids_are_enough_to_learn_from(count: int) -> None:
    codes = Codes(CROWD_DIMENSION)
    codes.train(people(count))
    codes.add(people(1))
    assert codes.nearest(people(1)[0], 1).tolist() == [0]


def test_vectors_that_are_all_alike_are_still_proposed() -> None:
    alike = np.repeat(people(1), 50, axis=0)
    codes = Codes(CROWD_DIMENSION)
    codes.train(alike)
    codes.add(alike)
    assert len(set(codes.nearest(people(2)[1], 20))) == 20


def test_restored_codes_are_those_that_were() -> None:
    codes = trained(300)
    flat = Codes(CROWD_DIMENSION)
    flat.train(people(300))
    again = Codes(CROWD_DIMENSION)
    again.restore(codes.centroids, flat.add(people(300)))
    for photo in photos(people(20)):
        assert again.nearest(photo, 10).tolist() == codes.nearest(photo, 10).tolist()


@pytest.mark.parametrize("place", [0, 31, 32, 150, 198, 199])
def test_the_last_code_takes_the_place_of_one_that_goes(place: int) -> None:
    codes = trained(200)
    codes.move_last(place)
    assert len(codes) == 199
    assert 199 not in codes.nearest(people(200)[199], 199)
    if place < 199:
        assert place in codes.nearest(people(200)[199], 10)


def test_a_place_that_was_free_holds_only_what_is_added_to_it() -> None:
    """FAISS adds by setting bits, which would mix a new code with the old one."""
    codes = trained(70)
    for _ in range(40):
        codes.move_last(0)
    newcomers = people(40, seed=9)
    written = codes.add(newcomers)
    for number, newcomer in enumerate(newcomers):
        assert 30 + number in codes.nearest(newcomer, 5)
    back = [codes.move_last(len(codes) - 1) for _ in range(40)]
    assert np.array_equal(np.stack(back)[::-1], written)
