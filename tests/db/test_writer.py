"""Changes that share a commit: each is kept whole or not at all, and hears of its own fate only."""

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    bindparam,
    insert,
    update,
)

from streamproc.db import Database, compiled, settings
from streamproc.db import database as database_module
from streamproc.db.writer import Outcome, Work, Writer
from streamproc.errors import StoreDamaged, StoreUnavailable
from tests.cancellation import cut_at
from tests.small_disk import small_disk

METADATA = MetaData()
NOTES = Table(
    "notes",
    METADATA,
    Column("key", Integer, primary_key=True),
    Column("data", LargeBinary),
    Column("about", ForeignKey("notes.key")),
)
ADD = compiled(insert(NOTES))
DATA = bytes(range(256)) * 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = await Database.open_file(path, METADATA)
    yield database
    await database.close()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many works each commit has carried."""
    carried: list[int] = []
    truly_commit = Writer.commit

    def commit(writer: Writer, works: Sequence[Work[Any]]) -> list[Outcome]:
        carried.append(len(works))
        return truly_commit(writer, works)

    monkeypatch.setattr(Writer, "commit", commit)
    return carried


def adding(*keys: int, about: int | None = None) -> Work[int]:
    def add(connection: sqlite3.Connection) -> int:
        for key in keys:
            connection.execute(ADD, {"key": key, "data": DATA, "about": about})
        return len(keys)

    return add


def keys_on_disk(path: Path) -> list[int]:
    """As another process sees them."""
    with closing(sqlite3.connect(path)) as other:
        return [key for (key,) in other.execute("SELECT key FROM notes ORDER BY rowid")]


class Held:
    """The writing thread, kept in the middle of a commit."""

    def __init__(self) -> None:
        self._is_held, self._goes_on = threading.Event(), threading.Event()

    def work(self, _: sqlite3.Connection) -> None:
        self._is_held.set()
        self._goes_on.wait(60)

    async def until_held(self) -> None:
        await asyncio.to_thread(self._is_held.wait, 60)

    def release(self) -> None:
        self._goes_on.set()


async def test_what_returned_is_on_disk(database: Database, path: Path) -> None:
    assert await database.transact(adding(1, 2)) == 2
    assert keys_on_disk(path) == [1, 2]


async def test_its_connection_has_the_settings_that_the_promises_need(database: Database) -> None:
    def ask(connection: sqlite3.Connection) -> dict[str, Any]:
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}

    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert await database.transact(ask) == wanted


async def test_who_waits_at_the_same_time_shares_a_commit_in_the_order_they_came(
    database: Database, path: Path, commits: list[int]
) -> None:
    order = [7, 3, 9, 1]
    held, seen = Held(), list[int]()
    holding = asyncio.ensure_future(database.transact(held.work))
    await held.until_held()

    def adding_late(key: int) -> Work[None]:
        def add(connection: sqlite3.Connection) -> None:
            seen.append(key)
            adding(key)(connection)

        return add

    late = [asyncio.ensure_future(database.transact(adding_late(key))) for key in order]
    await asyncio.sleep(0)
    held.release()
    await asyncio.gather(holding, *late)
    assert commits == [1, 4]
    assert seen == order
    assert keys_on_disk(path) == sorted(order)


async def test_one_that_fails_is_undone_alone(
    database: Database, path: Path, commits: list[int]
) -> None:
    answers = await asyncio.gather(
        database.transact(adding(1)),
        database.transact(adding(2, 1)),
        database.transact(adding(3)),
        return_exceptions=True,
    )
    assert commits == [3]
    assert [type(answer) for answer in answers] == [int, sqlite3.IntegrityError, int]
    assert keys_on_disk(path) == [1, 3]


async def test_where_the_disk_is_too_small_for_one_all_who_share_its_commit_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite undoes the whole transaction then. Those who try again are not kept out."""
    monkeypatch.setattr(settings, "PRAGMAS", (*settings.PRAGMAS, "max_page_count=20"))
    database = await Database.open_file(path, METADATA)
    works = adding(1), adding(*range(2, 100)), adding(100)
    answers = await asyncio.gather(*map(database.transact, works), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    assert "free space on its disk. Nothing of the change was kept" in str(answers[0])
    assert keys_on_disk(path) == []
    await asyncio.gather(database.transact(works[0]), database.transact(works[2]))
    assert keys_on_disk(path) == [1, 100]
    await database.close()


async def test_a_commit_that_fails_keeps_nothing_and_the_next_goes_on(
    database: Database, path: Path
) -> None:
    def add_for_nobody(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA defer_foreign_keys=ON")  # looked at by COMMIT
        adding(2, about=77)(connection)

    answers = await asyncio.gather(
        database.transact(adding(1)), database.transact(add_for_nobody), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [sqlite3.IntegrityError] * 2
    assert keys_on_disk(path) == []
    await database.transact(adding(3))
    assert keys_on_disk(path) == [3]


async def test_a_full_disk_is_told_to_all_who_shared_the_commit(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk.folder / "notes.db"
        database = await Database.open_file(path, METADATA)
        await database.transact(adding(0))
        disk.fill()
        for attempt in range(3):
            begin = 1 + attempt * 400
            works = [adding(*range(begin + part, begin + 400, 4)) for part in range(4)]
            answers = await asyncio.gather(
                *(database.transact(work) for work in works), return_exceptions=True
            )
            assert {type(answer) for answer in answers} == {StoreUnavailable}
            assert keys_on_disk(path) == [0]
        disk.free()
        await asyncio.gather(*(database.transact(adding(key)) for key in range(1, 5)))
        assert keys_on_disk(path) == [0, 1, 2, 3, 4]
        await database.close()


async def test_trouble_behind_the_commit_is_told_to_nobody_whose_change_is_on_disk(
    database: Database,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def size(_: Path) -> int:
        raise PermissionError

    with monkeypatch.context() as broken:
        broken.setattr(database_module, "_size", size)
        await asyncio.gather(*map(database.transact, (adding(1), adding(2))))
        assert keys_on_disk(path) == [1, 2]
    assert "could not be cut" in caplog.text
    await database.transact(adding(3))
    assert keys_on_disk(path) == [1, 2, 3]


@pytest.mark.parametrize("late", [False, True])
async def test_cancelled_at_any_moment_it_is_whole_or_absent(path: Path, late: bool) -> None:
    database = await Database.open_file(path, METADATA)
    keys = itertools.count()
    known: list[int] = []
    for wait in itertools.count():
        change = database.transact(adding(next(keys), next(keys)), known.append)
        if not await cut_at(change, wait, late=late):
            break
        async with database.write() as connection:  # whoever writes next is not locked out
            await connection.execute(insert(NOTES).values(key=-1 - wait))
    assert wait > 0
    await database.close()
    kept = [key for key in keys_on_disk(path) if key >= 0]
    assert len(kept) % 2 == 0, "half a change was kept"
    assert sum(known) == len(kept), "not all that is on disk was told"


async def test_who_gives_up_before_its_turn_is_left_out_and_after_it_is_carried_through(
    database: Database, path: Path
) -> None:
    held, known = Held(), list[int]()
    begun = asyncio.ensure_future(database.transact(adding(1), known.append))
    holding = asyncio.ensure_future(database.transact(held.work))
    await held.until_held()
    waits = asyncio.ensure_future(database.transact(adding(2), known.append))
    await asyncio.sleep(0)
    begun.cancel()
    waits.cancel()
    await asyncio.wait([begun, waits])  # neither has to wait for a disk that hangs
    held.release()
    await holding
    await database.transact(adding(3))
    assert keys_on_disk(path) == [1, 3]
    assert known == [1]


async def test_both_ways_of_writing_keep_out_of_each_others_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PRAGMAS", (*settings.PRAGMAS, "busy_timeout=0"))
    database = await Database.open_file(path, METADATA)

    async def write(key: int) -> None:
        async with database.write() as connection:
            await connection.execute(insert(NOTES).values(key=key))
            await asyncio.sleep(0)
            await connection.execute(update(NOTES).values(data=DATA))

    await asyncio.gather(
        *(write(key) if key % 2 else database.transact(adding(key)) for key in range(40))
    )
    assert keys_on_disk(path) == list(range(40))
    await database.close()


async def test_a_file_that_another_process_holds_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PRAGMAS", (*settings.PRAGMAS, "busy_timeout=1"))
    database = await Database.open_file(path, METADATA)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"database is locked.*another process"):
            await database.transact(adding(1))
    await database.transact(adding(1))
    await database.close()


async def test_a_damaged_file_is_told_with_the_way_back(path: Path) -> None:
    database = await Database.open_file(path, METADATA)
    await database.transact(adding(*range(100)))
    await database.close()
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    database = await Database.open_file(path, METADATA)
    with pytest.raises(StoreDamaged, match=rf"{path} cannot be read.*streamproc restore"):
        await database.transact(lambda connection: connection.execute("DELETE FROM notes").rowcount)
    await database.close()


async def test_closing_finishes_what_waits_and_leaves_no_log(
    database: Database, path: Path
) -> None:
    waiting = [asyncio.ensure_future(database.transact(adding(key))) for key in range(3)]
    await asyncio.sleep(0)
    await database.close()
    assert all(one.done() for one in waiting)
    assert keys_on_disk(path) == [0, 1, 2]
    assert not path.with_name("notes.db-wal").exists()


async def test_what_is_forgotten_is_in_no_file_whoever_wrote_it(
    database: Database, path: Path
) -> None:
    await database.transact(adding(*range(50)))
    await database.transact(lambda connection: connection.execute("DELETE FROM notes").rowcount)
    await database.forget()
    left = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    assert DATA[:32] not in left


async def test_the_log_does_not_grow_for_ever(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 400_000
    monkeypatch.setattr(database, "_wal_bytes_max", bound)
    monkeypatch.setattr(database_module, "WAL_BYTES_MAX", bound)
    log = path.with_name("notes.db-wal")
    keys = itertools.count()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM notes").fetchall()
        while log.stat().st_size < 2 * bound:
            await database.transact(adding(*(next(keys) for _ in range(20))))
    while log.stat().st_size >= bound:
        assert log.stat().st_size < 4 * bound
        await database.transact(adding(*(next(keys) for _ in range(20))))
    assert len(keys_on_disk(path)) == next(keys)


def test_a_statement_is_compiled_with_its_parameters_by_name() -> None:
    assert ADD == 'INSERT INTO notes ("key", data, about) VALUES (:key, :data, :about)'
    forget = update(NOTES).where(NOTES.c.key == bindparam("which")).values(data=None)
    assert 'WHERE notes."key" = :which' in compiled(forget)
