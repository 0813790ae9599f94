"""Files of an index: what was written is read again, and nothing else is believed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.collection import cached_rows, index_files
from streamproc.collection.index_files import CHANGING, IndexDamaged, IndexFiles
from tests.collection.crowd import CROWD_DIMENSION, people

IDENTITY = b"one of a kind..."
CENTROIDS = np.arange(64, dtype=np.float32)
RECORDS_AT = 2 * 4096


def files_at(
    stem: Path, identity: bytes = IDENTITY, dimension: int = CROWD_DIMENSION
) -> IndexFiles:
    return IndexFiles(stem, identity, dimension, code_bytes=5, centroids_size=64)


def codes_of(count: int) -> NDArray[np.uint8]:
    return np.arange(5 * count, dtype=np.uint8).reshape(count, 5)


@pytest.fixture(autouse=True, params=["held", "cached", "not cached", "no preadv2"])
def way_of_reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors that are in memory, in the system's cache, or neither are read alike."""
    if request.param != "held":
        monkeypatch.setattr(index_files, "HELD_BYTES_MAX", 0)
    if request.param == "not cached":
        monkeypatch.setattr(cached_rows, "_read_cached", lambda *_: -1)
    elif request.param == "no preadv2":
        monkeypatch.setattr(cached_rows, "_read_cached", None)


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    """Files of ten faces, keys 100 to 109, at generation 7."""
    files = files_at(tmp_path / "3")
    files.create(CENTROIDS)
    files.write(0, range(100, 110), codes_of(10), people(10))
    files.state(7, 10)
    files.close()
    return tmp_path / "3"


def test_what_was_written_is_read_again(stem: Path) -> None:
    files = files_at(stem)
    assert files.generation() == 7
    generation, centroids, keys, codes = files.open()
    assert generation == 7
    assert np.array_equal(centroids, CENTROIDS)
    assert keys.tolist() == list(range(100, 110))
    assert np.array_equal(codes, codes_of(10))
    assert np.array_equal(files.rows(np.asarray([9, 0])), people(10)[[9, 0]])
    files.close()


def test_only_the_owner_reads_the_files(stem: Path) -> None:
    for path in stem.parent.glob("3.*"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_places_are_overwritten_and_grow(stem: Path) -> None:
    files = files_at(stem)
    files.open()
    more = people(9000, seed=5)
    files.write(10, range(1000, 10000), codes_of(9000), more)
    files.write(3, [55], codes_of(1), more[:1])
    assert np.array_equal(files.rows(np.asarray([3, 10, 9009])), more[[0, 0, 8999]])
    files.state(8, 9010)
    files.close()
    again = files_at(stem)
    assert again.open()[2].tolist()[:5] == [100, 101, 102, 55, 104]
    assert np.array_equal(again.rows(np.asarray([9009])), more[8999:])
    again.close()


def test_what_is_erased_is_zeros_on_the_disk(stem: Path) -> None:
    files = files_at(stem)
    files.open()
    files.erase(4, 10)
    files.sync()
    held = stem.with_suffix(".vectors").read_bytes()
    for number, vector in enumerate(people(10)):
        assert (vector.tobytes() in held) == (number < 4)
    files.close()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    "harm",
    [
        lambda stem: flip(stem.with_suffix(".codes"), 3),  # magic
        lambda stem: flip(stem.with_suffix(".codes"), 45),  # generation or count
        lambda stem: flip(stem.with_suffix(".codes"), 4096 + 17),  # a centroid
        lambda stem: flip(stem.with_suffix(".codes"), RECORDS_AT),  # a key
        lambda stem: flip(stem.with_suffix(".codes"), RECORDS_AT + 24 * 9 + 18),  # a code
        lambda stem: cut(stem.with_suffix(".codes"), 0),
        lambda stem: cut(stem.with_suffix(".codes"), RECORDS_AT + 24 * 9),
        lambda stem: cut(stem.with_suffix(".vectors"), 9 * 4 * CROWD_DIMENSION),
    ],
)
def test_damage_is_not_believed(stem: Path, harm: Callable[[Path], None]) -> None:
    harm(stem)
    with pytest.raises(IndexDamaged):
        files_at(stem).open()


def test_a_page_of_zeros_is_no_record(stem: Path) -> None:
    """As a power cut leaves them, where the file had grown and its content was not written."""
    path = stem.with_suffix(".codes")
    data = path.read_bytes()
    path.write_bytes(data[:RECORDS_AT] + bytes(len(data) - RECORDS_AT))
    with pytest.raises(IndexDamaged, match="a record"):
        files_at(stem).open()


def test_a_damaged_vector_is_found_when_it_is_read(stem: Path) -> None:
    flip(stem.with_suffix(".vectors"), 4 * CROWD_DIMENSION * 6 + 11)
    files = files_at(stem)
    with pytest.raises(IndexDamaged, match="a vector"):  # noqa: PT012
        files.open()  # reads those that are held
        assert np.array_equal(files.rows(np.asarray([5, 7])), people(10)[[5, 7]])
        files.rows(np.asarray([5, 6, 7]))
    files.close()


def test_another_collections_files_are_not_believed(stem: Path) -> None:
    with pytest.raises(IndexDamaged, match="another collection"):
        files_at(stem, identity=b"another kind....").open()
    with pytest.raises(IndexDamaged, match="another format"):
        files_at(stem, dimension=16).open()


def test_a_change_that_a_crash_cut_short_is_seen(stem: Path) -> None:
    files = files_at(stem)
    files.open()
    files.state(CHANGING, 10)
    files.close()
    with pytest.raises(IndexDamaged, match="under way"):
        files_at(stem).generation()


def test_a_face_in_two_places_is_not_believed(stem: Path) -> None:
    files = files_at(stem)
    files.open()
    files.write(2, [109], codes_of(1), people(1))
    files.close()
    with pytest.raises(IndexDamaged, match="two places"):
        files_at(stem).open()


def test_new_files_leave_the_old_ones_to_whoever_still_writes_to_them(stem: Path) -> None:
    old = files_at(stem)
    old.open()
    new = files_at(stem)
    new.create(CENTROIDS)
    new.write(0, [1], codes_of(1), people(1, seed=8))
    new.state(1, 1)
    old.write(0, [2], codes_of(1), people(1, seed=9))
    old.state(9, 10)
    old.close()
    assert np.array_equal(new.rows(np.asarray([0])), people(1, seed=8))
    new.close()
    assert files_at(stem).generation() == 1


def test_a_row_behind_the_end_of_the_file_is_damage(stem: Path) -> None:
    files = files_at(stem)
    files.open()
    with pytest.raises((IndexDamaged, IndexError)):
        files.rows(np.asarray([1_000_000]))
    files.close()
