"""Remnants of rows are overwritten where they lie, and nothing else is touched."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import pytest

from streamproc.db.remnants import pages_with_remnants, wipe

PAGE = 4096


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A table of rows of 700 bytes that came and went without secure_delete."""
    path = tmp_path / "rows.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE}")
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("CREATE TABLE rows (key INTEGER PRIMARY KEY, data)")
        rows = [(key, bytes([key % 256]) * 700) for key in range(400)]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO rows VALUES (?, ?)", rows)
        connection.execute("DELETE FROM rows WHERE key % 7 <> 0")
        connection.execute("COMMIT")
    with path.open("r+b", buffering=0) as opened:
        yield opened


def rows_in(file: BinaryIO) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(file.name)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT key, data FROM rows ORDER BY key").fetchall()


def whole(file: BinaryIO) -> bytes:
    return Path(file.name).read_bytes()


def test_what_was_is_overwritten_and_what_is_stays(file: BinaryIO) -> None:
    found = pages_with_remnants(file)
    assert found
    before = rows_in(file)
    wipe(file, found)
    assert pages_with_remnants(file) == []
    assert rows_in(file) == before


def test_only_the_pages_named_are_written(file: BinaryIO) -> None:
    first, *others = pages_with_remnants(file)
    before = whole(file)
    wipe(file, [first])
    after = whole(file)
    assert before[: (first - 1) * PAGE] == after[: (first - 1) * PAGE]
    assert before[first * PAGE :] == after[first * PAGE :]
    assert pages_with_remnants(file) == others


def test_a_page_that_only_begins_like_a_leaf_is_left_as_it_is(file: BinaryIO) -> None:
    """The data of a long row, in a file so large that a page's number begins with that byte."""
    leaf = bytes([0x0D, 0, 0, 0, 3, 0x0F, 0, 0])
    file.seek(PAGE)
    file.write(leaf + b"a row that is there" * 200)
    before = whole(file)
    assert 2 not in pages_with_remnants(file)
    wipe(file, [2])
    assert whole(file) == before
