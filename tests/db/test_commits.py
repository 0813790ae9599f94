"""The stamp of a database: another one after every commit, and only then."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamproc.db.commits import Commits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE notes (text)")
    return path


@pytest.fixture
def commits(path: Path) -> Iterator[Commits]:
    commits = Commits(path)
    yield commits
    commits.close()


def test_commits_that_leave_size_and_time_of_the_file_alike_are_told_apart(
    commits: Commits, path: Path
) -> None:
    """As two do within one tick of the file system's clock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO notes VALUES ('one')")
        stamps = {commits.stamp()}
        for number in range(30):
            writer.execute("UPDATE notes SET text = ?", (f"{number:03}",))
            stamps.add(commits.stamp())
    assert len(stamps) == 31


def test_reading_and_what_is_undone_leave_it_as_it_is(commits: Commits, path: Path) -> None:
    before = commits.stamp()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("SELECT * FROM notes").fetchall()
        other.execute("BEGIN")
        other.execute("INSERT INTO notes VALUES ('one')")
        other.execute("ROLLBACK")
    assert commits.stamp() == before


def test_of_a_file_that_cannot_be_asked_nothing_is_taken_for_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.mkdir()
    commits = Commits(path)
    assert len({commits.stamp() for _ in range(5)}) == 5
    path.rmdir()
    assert commits.stamp() == commits.stamp()
    commits.close()
