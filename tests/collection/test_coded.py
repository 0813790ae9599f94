"""The index of a large collection: as exact in what it says, and nearly so in whom it finds."""

import threading
from pathlib import Path

import numpy as np
import pytest

from streamproc.collection import index_files
from streamproc.collection.coded import CANDIDATES, CodedIndex
from streamproc.collection.index import VectorIndex
from streamproc.collection.index_files import IndexDamaged
from tests.collection.crowd import CROWD_DIMENSION, people, photos
from tests.collection.vectors import nearest

IDENTITY = b"one of a kind..."


def coded(stem: Path, count: int) -> CodedIndex:
    """people(count), keys from 1, at generation 5."""
    index = CodedIndex(stem, IDENTITY, CROWD_DIMENSION)
    index.load(range(1, count + 1), people(count), 5)
    index.complete()
    return index


def exact(count: int) -> VectorIndex:
    index = VectorIndex(CROWD_DIMENSION)
    index.load(range(1, count + 1), people(count), 5)
    return index


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    return tmp_path / "1"


def test_everybody_is_found_with_the_cosine_that_exact_search_has(stem: Path) -> None:
    index, truth = coded(stem, 3000), exact(3000)
    for photo in photos(people(3000))[::30]:
        [found] = index.search_all([photo], 0.5, 3)
        wanted = nearest(truth, photo, 0.5, 3)
        assert [key for key, _ in found] == [key for key, _ in wanted]
        assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in wanted])


def test_several_faces_are_answered_in_their_order(stem: Path) -> None:
    index = coded(stem, 1000)
    found = index.search_all(list(photos(people(1000))[:8]), 0.5, 1)
    assert [nearest[0][0] for nearest in found] == list(range(1, 9))


@pytest.mark.parametrize("limit", [1, 50, 2000])
def test_all_that_match_are_found_up_to_the_limit(stem: Path, limit: int) -> None:
    """More of them than are compared at first."""
    index, truth = coded(stem, 2000), exact(2000)
    one = people(1)[0]
    matching = nearest(truth, one, 0.0, 2000)
    assert len(matching) > 2 * CANDIDATES
    [found] = index.search_all([one], 0.0, limit)
    best = [key for key, _ in matching[:limit]]
    assert len(found) == len(best)
    assert len({key for key, _ in found} & set(best)) >= 0.99 * len(best)


def test_what_is_added_is_found_and_what_is_removed_is_not(stem: Path) -> None:
    index = coded(stem, 400)
    newcomers = people(100, seed=7)
    for number in range(100):
        index.step(6 + 2 * number, add=[(1000 + number, newcomers[number])])
        assert index.search_all([newcomers[number]], 0.9, 1)[0][0][0] == 1000 + number
        index.step(7 + 2 * number, remove=[number + 1, 1000 + number - 1])
        [found] = index.search_all([people(400)[number]], 0.9, 9)
        assert number + 1 not in dict(found)
    assert len(index) == 301
    assert sorted(index.keys()) == [*range(101, 401), 1099]


def test_an_index_without_faces_finds_nothing(stem: Path) -> None:
    index = coded(stem, 3)
    index.step(6, remove=[1, 2, 3])
    assert index.search_all([people(1)[0]], -1.0, 5) == [[]]
    index.step(7, add=[(4, people(1)[0])])
    assert [key for key, _ in index.search_all([people(1)[0]], 0.9, 5)[0]] == [4]


def test_a_step_that_skips_is_not_taken(stem: Path) -> None:
    index = coded(stem, 3)
    index.step(7, remove=[1])
    assert (len(index), index.generation) == (3, 5)


def test_it_is_opened_as_it_was_left(stem: Path) -> None:
    index = coded(stem, 500)
    index.step(6, add=[(900, people(1, seed=3)[0])], remove=[5, 500, 1])
    asked = [*photos(people(500))[:40], people(1, seed=3)[0]]
    before = index.search_all(asked, 0.3, 20)
    assert CodedIndex.generation_of(stem, IDENTITY, CROWD_DIMENSION) == 6  # never closed
    again = CodedIndex.opened(stem, IDENTITY, CROWD_DIMENSION)
    assert again.generation == 6
    assert again.search_all(asked, 0.3, 20) == before
    again.step(7, add=[(901, people(1, seed=4)[0])])
    assert again.search_all([people(1, seed=4)[0]], 0.9, 1)[0][0][0] == 901


@pytest.mark.parametrize("writes", range(1, 12))
def test_a_crash_in_mid_change_leaves_nothing_that_is_believed(
    stem: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Either the change was not begun, or it is complete, or the files say that it is neither."""
    index = coded(stem, 50)
    left = writes

    def counted(handle: int, data: bytes, at: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        original(handle, data, at)

    original = index_files._write
    monkeypatch.setattr(index_files, "_write", counted)
    try:
        index.step(6, remove=[1, 20])
        finished = True
    except KeyboardInterrupt:
        finished = False
    if finished:
        again = CodedIndex.opened(stem, IDENTITY, CROWD_DIMENSION)
        assert (again.generation, len(again)) == (6, 48)
    else:
        with pytest.raises(IndexDamaged, match="under way"):
            CodedIndex.opened(stem, IDENTITY, CROWD_DIMENSION)


def test_an_index_whose_change_failed_names_nobody(
    stem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to a search that had it in hand before: a vector may be under another's key."""
    index = coded(stem, 50)

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(index_files, "_write", broken)
        with pytest.raises(OSError, match="Input/output"):
            index.step(6, remove=[1])
    with pytest.raises(IndexDamaged, match="a change of it failed"):
        index.search_all([people(50)[0]], 0.5, 1)
    with pytest.raises(IndexDamaged, match="a change of it failed"):
        index.everything()


def test_no_byte_of_a_removed_vector_is_left(stem: Path) -> None:
    index = coded(stem, 100)
    index.step(6, remove=[1, 50, 99, 100])
    held = b"".join(path.read_bytes() for path in stem.parent.iterdir())
    for number, vector in enumerate(people(100), 1):
        is_gone = number in {1, 50, 99, 100}
        assert all((vector.tobytes()[at : at + 32] in held) != is_gone for at in (0, 37, 96))


def test_searches_beside_changes_see_whole_generations(stem: Path) -> None:
    index = coded(stem, 300)
    crowd = photos(np.repeat(people(1, seed=6), 300, axis=0))
    wrong, done = [], threading.Event()

    def search() -> None:
        changed = False
        while not changed:  # the last search is behind the last change
            changed = done.is_set()
            [found] = index.search_all([people(1, seed=6)[0]], 0.6, 10_000)
            if len([key for key, _ in found if key >= 1000]) % 10:  # every step moves ten
                wrong.append(found)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for thread in searchers:
        thread.start()
    for step in range(20):
        keys = range(1000 + step * 10, 1010 + step * 10)
        index.step(6 + step, add=[(key, crowd[key - 1000]) for key in keys])
    done.set()
    for thread in searchers:
        thread.join()
    assert not wrong
    assert len(index) == 500
