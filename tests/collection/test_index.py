"""The index: a cache that knows which generation it mirrors."""

import threading

import numpy as np

from streamproc.collection.index import VectorIndex
from tests.collection.vectors import DIMENSION, at_cosine, nearest, unit


def loaded(count: int) -> VectorIndex:
    index = VectorIndex(DIMENSION)
    index.load(range(1, count + 1), np.stack([unit(1)] * count), 5)
    return index


def test_a_step_that_follows_is_taken_and_one_that_skips_is_not() -> None:
    index = loaded(1)
    index.step(7, add=[(2, unit(1))])
    assert (len(index), index.generation) == (1, 5)
    index.step(6, add=[(2, unit(1))], remove=[1])
    assert (nearest(index, unit(1), 0.5, 10), index.generation) == ([(2, 1.0)], 6)


def test_a_face_exactly_on_the_threshold_is_found() -> None:
    index = VectorIndex(DIMENSION)
    index.load([1], at_cosine(0.5)[np.newaxis], 0)
    [(_, cosine)] = nearest(index, unit(1), 0.0, 1)
    assert nearest(index, unit(1), cosine, 1) == [(1, cosine)]
    above = float(np.nextafter(np.float32(cosine), np.float32(1)))
    assert nearest(index, unit(1), above, 1) == []


def test_equal_faces_come_in_the_order_they_were_added() -> None:
    assert [key for key, _ in nearest(loaded(5), unit(1), 0.5, 3)] == [1, 2, 3]


def test_an_empty_index_finds_nothing() -> None:
    assert nearest(VectorIndex(DIMENSION), unit(1), -1.0, 10) == []


def test_searches_beside_changes_see_whole_generations() -> None:
    index = loaded(10)
    wrong, done = [], threading.Event()

    def search() -> None:
        changed = False
        while not changed:  # the last search is behind the last change
            changed = done.is_set()
            found = {key for key, _ in nearest(index, unit(1), 0.5, 10_000)}
            if len(found) % 10:  # every step moves ten
                wrong.append(found)

    searchers = [threading.Thread(target=search) for _ in range(3)]
    for thread in searchers:
        thread.start()
    for step in range(60):
        keys = range(1000 + step * 10, 1010 + step * 10)
        index.step(6 + step, add=[(key, unit(1)) for key in keys])
    done.set()
    for thread in searchers:
        thread.join()
    assert not wrong
    assert len(index) == 610
