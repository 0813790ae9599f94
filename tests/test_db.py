"""A store's file: what a transaction leaves behind when its caller, the disk or the file fails."""

import asyncio
import errno
import itertools
import logging
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import BinaryIO
from unittest.mock import Mock

import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from streamproc.db import Database, remnants, settings
from streamproc.db import database as database_module
from streamproc.db.remnants import pages_with_remnants, read_log, wipe
from streamproc.errors import StoreDamaged, StoreUnavailable
from tests.cancellation import cut_at
from tests.small_disk import small_disk

METADATA = MetaData()
COUNTER = Table("counter", METADATA, Column("key", Integer, primary_key=True), Column("n", Integer))
SECRETS = Table(
    "secrets", METADATA, Column("key", Integer, primary_key=True), Column("data", LargeBinary)
)
SECRET = bytes(range(256)) * 8


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[[Path], Awaitable[Database]]]:
    """Open databases that are closed with the test."""
    databases: list[Database] = []

    async def open_(path: Path) -> Database:
        databases.append(await Database.open_file(path, METADATA))
        return databases[-1]

    yield open_
    for one in databases:
        await one.close()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def database(opened: Callable[[Path], Awaitable[Database]], path: Path) -> Database:
    return await opened(path)


async def put(database: Database, *keys: int) -> None:
    async with database.write() as connection:
        await connection.execute(insert(SECRETS), [{"key": key, "data": SECRET} for key in keys])


async def pragma(database: Database, setting: str) -> None:
    """On the one connection that a test without concurrency uses."""
    async with database.read() as connection:
        await connection.exec_driver_sql(f"PRAGMA {setting}")


async def count(database: Database) -> int:
    async with database.read() as connection:
        total = await connection.scalar(select(func.count()).select_from(SECRETS))
    assert isinstance(total, int)
    return total


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_write_does_not_lock_the_next_one_out(tmp_path: Path, late: bool) -> None:
    database = await Database.open_file(tmp_path / "counter.sqlite", METADATA)
    async with database.write() as connection:
        await connection.execute(insert(COUNTER).values(key=1, n=0))

    async def count() -> None:
        async with database.write() as connection:
            more = update(COUNTER).values(n=COUNTER.c.n + 1)
            await connection.scalar(more.returning(COUNTER.c.n))
            await connection.execute(more)

    for wait in itertools.count():
        if not await cut_at(count(), wait, late=late):
            break
        await count()  # where a lock is left behind, SQLite gives up with an error
    assert wait > 5
    async with database.read() as connection:
        total = await connection.scalar(select(COUNTER.c.n))
    assert isinstance(total, int)
    assert total % 2 == 0, "half a transaction was kept"
    assert total >= 2 * wait + 2
    await database.close()


async def test_a_full_disk_is_told_and_nothing_of_the_transaction_is_kept(
    opened: Callable[[Path], Awaitable[Database]], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk.folder / "store.db"
        database = await opened(path)
        await put(database, 1)
        disk.fill()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=rf"{path}.*disk.*free space") as told:
                await put(database, *range(2, 3000))
            assert "Nothing of the change was kept" in str(told.value)
            assert await count(database) == 1
        disk.free()
        await asyncio.gather(*(put(database, key) for key in range(2, 12)))
        assert await count(database) == 11
        await database.close()


async def test_a_file_that_may_not_grow_is_a_full_disk_too(database: Database) -> None:
    """The same without the right to mount."""
    await put(database, 1)
    await pragma(database, "max_page_count = 1")
    with pytest.raises(StoreUnavailable, match=r"database or disk is full.*; free space"):
        await put(database, *range(2, 100))
    assert await count(database) == 1
    await pragma(database, "max_page_count = 1000000")
    await put(database, 2)
    assert await count(database) == 2


async def test_a_damaged_page_is_told_with_the_way_back(
    opened: Callable[[Path], Awaitable[Database]], path: Path
) -> None:
    database = await opened(path)
    await put(database, *range(100))
    await database.close()
    with path.open("r+b") as file:
        for page in range(5, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 100)
    database = await opened(path)
    with pytest.raises(StoreDamaged, match=rf"{path} cannot be read.*streamproc restore"):
        async with database.read() as connection:
            (await connection.execute(select(SECRETS))).all()
    with pytest.raises(StoreDamaged, match=r"store\.db"):
        async with database.write() as connection:
            await connection.execute(delete(SECRETS))


async def test_what_is_no_database_is_refused_at_the_door(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreDamaged, match=rf"{path} cannot be read"):
        await Database.open_file(path, METADATA)


async def test_a_file_that_another_process_holds_is_told(
    opened: Callable[[Path], Awaitable[Database]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PRAGMAS", (*settings.PRAGMAS, "busy_timeout=1"))
    database = await opened(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"database is locked.*another process"):
            await put(database, 1)
    await put(database, 1)


async def test_a_file_that_may_not_be_written_is_told(database: Database) -> None:
    await pragma(database, "query_only = 1")
    with pytest.raises(StoreUnavailable, match="writable"):
        await put(database, 1)


async def test_a_broken_constraint_stays_what_it_is(database: Database) -> None:
    await put(database, 1)
    with pytest.raises(IntegrityError):
        await put(database, 1)


async def test_only_the_owner_reads_the_files(
    opened: Callable[[Path], Awaitable[Database]], path: Path
) -> None:
    path.touch(0o644)
    await put(await opened(path), 1)
    files = [file for file in path.parent.iterdir() if file.name.startswith("store.db")]
    assert {file.name for file in files} == {"store.db", "store.db-wal", "store.db-shm"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


async def test_every_connection_has_the_settings_that_the_promises_need(database: Database) -> None:
    async def setting(name: str) -> object:
        async with database.read() as connection:
            return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()

    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert {name: await setting(name) for name in wanted} == wanted


async def test_its_stamp_tells_of_every_commit_whoever_made_it(
    database: Database, opened: Callable[[Path], Awaitable[Database]], path: Path
) -> None:
    other = await opened(path)
    stamps = [database.stamp()]
    for key, writer in enumerate((database, database, other)):
        await put(writer, key)
        stamps.append(database.stamp())
    assert len(set(stamps)) == 4
    assert await count(database) == 3
    assert database.stamp() == stamps[-1]


async def test_what_is_forgotten_is_in_no_file(database: Database, path: Path) -> None:
    await put(database, *range(50))
    async with database.write() as connection:
        await connection.execute(delete(SECRETS))
    assert SECRET[:32] in bytes_of(path.parent)
    await database.forget()
    assert SECRET[:32] not in bytes_of(path.parent)


async def test_forgetting_removes_what_upgrades_have_kept(database: Database, path: Path) -> None:
    (path.parent / "store.db.before-0002").write_bytes(SECRET)
    await database.forget()
    assert not (path.parent / "store.db.before-0002").exists()


@pytest.mark.parametrize("is_closed_first", [False, True])
async def test_a_reader_that_stays_delays_forgetting_and_does_not_prevent_it(
    database: Database,
    opened: Callable[[Path], Awaitable[Database]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_closed_first: bool,
) -> None:
    monkeypatch.setattr(database_module, "FORGET_S_MAX", 0.2)
    await put(database, *range(50))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM secrets").fetchall()
        async with database.write() as connection:
            await connection.execute(delete(SECRETS))
        with caplog.at_level(logging.WARNING):
            await database.forget()
        assert "is not overwritten yet" in caplog.text
        await put(database, 1)  # nobody else is kept waiting
        async with database.write() as connection:
            await connection.execute(delete(SECRETS))
        if is_closed_first:
            await database.close()
    if is_closed_first:
        await opened(path)
    else:
        await database.forget()
    assert SECRET[:32] not in bytes_of(path.parent)


async def test_the_log_is_brought_back_to_nothing_once_no_reader_needs_it(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 400_000
    monkeypatch.setattr(database, "_wal_bytes_max", bound)
    monkeypatch.setattr(database_module, "WAL_BYTES_MAX", bound)
    log = path.with_name("store.db-wal")
    keys = itertools.count()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM secrets").fetchall()
        while log.stat().st_size < 2 * bound:
            await put(database, *(next(keys) for _ in range(20)))
    grown = log.stat().st_size
    while log.stat().st_size >= grown:
        assert log.stat().st_size < grown + 2 * bound
        await put(database, *(next(keys) for _ in range(20)))
    assert log.stat().st_size < bound
    assert await count(database) == next(keys)


class Guests:
    """Rows that come and go in no order."""

    def __init__(self, database: Database) -> None:
        self.alive: dict[int, bytes] = {}
        self.gone: list[bytes] = []
        self._database = database
        self._chance = random.Random(3)
        self._keys = itertools.count()

    async def come_and_go(self, times: int) -> None:
        chance = self._chance
        for _ in range(times):
            async with self._database.write() as connection:
                new = {
                    next(self._keys): chance.randbytes(600) for _ in range(chance.randint(1, 15))
                }
                rows = [{"key": key, "data": data} for key, data in new.items()]
                await connection.execute(insert(SECRETS), rows)
                self.alive |= new
                old = chance.sample(sorted(self.alive), chance.randint(0, min(len(self.alive), 14)))
                await connection.execute(delete(SECRETS).where(SECRETS.c.key.in_(old)))
                self.gone += [self.alive.pop(key) for key in old]

    def left_in(self, folder: Path) -> list[bytes]:
        """Those gone of which a part is in any file."""
        left = bytes_of(folder)
        assert all(data in left for data in self.alive.values())
        return [data for data in self.gone if any(part in left for part in batched(data, 32))]


async def test_no_older_place_of_a_row_is_left_within_a_page(
    database: Database, path: Path
) -> None:
    """secure_delete zeros a row where it lies, not where it lay before SQLite moved it."""
    guests = Guests(database)
    await guests.come_and_go(60)
    bring_back_log(path)
    assert remnants_in(path), "or this shows nothing"
    await database.forget()
    assert not remnants_in(path)
    assert not guests.left_in(path.parent)
    assert await count(database) == len(guests.alive)


async def remnants_come_back(database: Database, path: Path) -> bool:
    """Whether a connection writes again what it remembers of pages: all of them are written."""
    async with database.write() as connection:  # each row in its place
        await connection.exec_driver_sql("UPDATE secrets SET data = randomblob(length(data))")
    bring_back_log(path)
    return remnants_in(path)


async def test_a_connection_that_remembers_a_page_does_not_bring_back_what_was_there(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiping = Mock(wraps=wipe)
    monkeypatch.setattr(database_module, "wipe", wiping)
    guests = Guests(database)
    await guests.come_and_go(60)
    await database.forget()
    wiping.assert_called_once()
    assert not await remnants_come_back(database, path)


async def test_overwriting_that_failed_half_way_is_done_again_to_its_end(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0

    def fails_once(file: BinaryIO, pages: Collection[int]) -> None:
        nonlocal failed
        wipe(file, pages)
        if not failed:
            failed += 1
            raise OSError(errno.EIO, "the disk did not take it")

    monkeypatch.setattr(database_module, "wipe", fails_once)
    guests = Guests(database)
    await guests.come_and_go(60)
    await database.forget()
    assert failed
    assert not await remnants_come_back(database, path)


async def test_who_closes_the_database_waits_for_what_is_being_overwritten(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def held(file: BinaryIO, pages: Collection[int]) -> None:
        begun.set()
        go.wait()
        wipe(file, pages)

    monkeypatch.setattr(database_module, "wipe", held)
    guests = Guests(database)
    await guests.come_and_go(60)
    forgetting = asyncio.create_task(database.forget())
    await asyncio.to_thread(begun.wait)
    closing_it = asyncio.create_task(database.close())
    await asyncio.wait({closing_it}, timeout=0.1)
    assert not closing_it.done()
    go.set()
    await asyncio.gather(forgetting, closing_it)
    assert not remnants_in(path)


async def test_what_another_process_writes_meanwhile_is_neither_lost_nor_in_the_way(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = Guests(database)
    await guests.come_and_go(60)
    writes = iter([-1, -2])

    def look(file: BinaryIO, pages: Collection[int] | None = None) -> list[int]:
        found = pages_with_remnants(file, pages)
        for key in itertools.islice(writes, 1):  # behind the checkpoint
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("INSERT INTO secrets VALUES (?, ?)", (key, SECRET))
        return found

    monkeypatch.setattr(database_module, "pages_with_remnants", look)
    await database.forget()
    assert not remnants_in(path)
    assert not guests.left_in(path.parent)
    assert await count(database) == len(guests.alive) + 2


def bring_back_log(path: Path) -> None:
    """All that it has is in the file, as another process may do at any time."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def remnants_in(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(pages_with_remnants(file))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many pages each search for remnants looks at, None for all; no file is small."""
    seen: list[int | None] = []

    def look(file: BinaryIO, pages: Collection[int] | None = None) -> list[int]:
        seen.append(None if pages is None else len(pages))
        return pages_with_remnants(file, pages)

    monkeypatch.setattr(remnants, "_SMALL_BYTES", 0)
    monkeypatch.setattr(database_module, "pages_with_remnants", look)
    return seen


async def test_forgetting_looks_only_at_what_was_written_since(
    database: Database, path: Path, looked_at: list[int | None]
) -> None:
    await put(database, *range(10_000, 10_300))
    guests = Guests(database)
    for _ in range(12):
        await guests.come_and_go(3)
        await database.forget()
        assert not remnants_in(path)
    assert not guests.left_in(path.parent)
    whole, *parts = looked_at
    assert whole is None
    assert None not in parts
    assert max(part for part in parts if part is not None) < path.stat().st_size // 4096 // 4


async def test_a_log_that_began_anew_is_not_taken_for_all_that_was_written(
    database: Database, path: Path, looked_at: list[int | None]
) -> None:
    async def cut_log() -> None:
        bring_back_log(path)

    guests = Guests(database)
    for interfere in (cut_log, database._engine.dispose):
        await guests.come_and_go(1)
        await database.forget()
        await guests.come_and_go(10)
        await interfere()
        await guests.come_and_go(1)
        looked_at.clear()
        await database.forget()
        assert looked_at == [None]
        assert not guests.left_in(path.parent)


def test_a_log_is_read_as_far_as_its_last_life_goes(tmp_path: Path) -> None:
    path, log = tmp_path / "store.db", tmp_path / "store.db-wal"
    assert read_log(log) == (None, frozenset())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE one (data)")
        connection.executemany("INSERT INTO one VALUES (?)", [(SECRET,)] * 20)
        first, many = read_log(log)
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()  # cut no shorter
        connection.execute("INSERT INTO one VALUES (1)")
        second, few = read_log(log)
    assert first is not None
    assert second == first.next
    assert len(few) < len(many) == 22


def batched(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data) - size + 1, size)]
