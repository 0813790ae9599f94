"""Puts share commits, and each hears of its own fate only."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from streamproc.clock import FakeClock
from streamproc.db.writer import Outcome, Work, Writer
from streamproc.errors import StoreUnavailable
from streamproc.local.kinesis_data.append import Appender, NewRecord, ShardGone
from streamproc.local.kinesis_data.shards import Shard, Stream
from streamproc.local.kinesis_data.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data.sqlite")
    yield store
    await store.close()


@pytest.fixture
def appender(store: Store) -> Appender:
    return Appender(store.database, FakeClock())


async def make_stream(store: Store, name: str, shards: int = 1) -> Stream:
    return await store.create(
        region="eu-west-1", account_id="111122223333", name=name, created_ms=0,
        mode="PROVISIONED", retention_hours=24, record_bytes_max=1024, tags={}, shard_count=shards,
    )  # fmt: skip


def record(shard: Shard, data: bytes = b"") -> NewRecord:
    return NewRecord(shard, "cam", data)


async def test_puts_that_wait_share_a_commit(
    store: Store, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []

    def commit(writer: Writer, works: Sequence[Work[Any]]) -> list[Outcome]:
        commits.append(len(works))
        return truly_commit(writer, works)

    truly_commit = Writer.commit
    monkeypatch.setattr(Writer, "commit", commit)
    [shard] = (await make_stream(store, "faces")).shards
    answers = await asyncio.gather(
        *(appender.append([record(shard, str(number).encode())]) for number in range(100))
    )
    assert sum(commits) == 100
    assert len(commits) <= 2
    assert [answer[0].position for answer in answers] == list(range(1, 101))
    assert shard.last_position == 100
    stored = await store.read(shard, 1, 1000, 10**9)
    assert [int(row.data) for row in stored] == list(range(100))


async def test_a_commit_that_fails_stores_nothing_and_the_next_goes_on(
    store: Store, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shard] = (await make_stream(store, "faces")).shards
    await appender.append([record(shard, b"0")])

    def roll_back(connection: sqlite3.Connection) -> None:
        """As SQLite does by itself when the disk fails it."""
        connection.execute("ROLLBACK")
        raise StoreUnavailable("the disk is full")

    answers = await asyncio.gather(
        appender.append([record(shard, b"lost")]),
        store.database.transact(roll_back),
        appender.append([record(shard, b"lost")]),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    assert shard.last_position == 1
    [answer] = await appender.append([record(shard, b"1")])
    assert answer.position == 2
    assert [row.data for row in await store.read(shard, 1, 10, 10**9)] == [b"0", b"1"]


async def test_a_deleted_stream_fails_its_own_puts_only(store: Store, appender: Appender) -> None:
    gone, living = await make_stream(store, "gone", 2), await make_stream(store, "living")
    await store.delete(gone)
    answers = await asyncio.gather(
        appender.append([record(living.shards[0])]),
        appender.append([record(gone.shards[0]), record(gone.shards[1])]),
        appender.append([record(living.shards[0])]),
        return_exceptions=True,
    )
    assert isinstance(answers[1], ShardGone)
    assert living.shards[0].last_position == 2
    assert len(await store.read(living.shards[0], 1, 10, 10**9)) == 2
    assert await store.sweep_orphans() == 0


async def test_a_caller_who_gives_up_takes_nobody_along(store: Store, appender: Appender) -> None:
    [shard] = (await make_stream(store, "faces")).shards
    is_written, goes_on = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        is_written.set()
        goes_on.wait(60)

    first = asyncio.ensure_future(appender.append([record(shard, b"0")]))
    holding = asyncio.ensure_future(store.database.transact(hold))
    await asyncio.to_thread(is_written.wait, 60)
    waits = asyncio.ensure_future(appender.append([record(shard, b"never")]))
    second = asyncio.ensure_future(appender.append([record(shard, b"1")]))
    await asyncio.sleep(0)
    first.cancel()
    waits.cancel()
    goes_on.set()
    [answer] = await second
    await holding
    assert (answer.position, shard.last_position) == (2, 2)
    assert [row.data for row in await store.read(shard, 1, 10, 10**9)] == [b"0", b"1"]


async def test_closing_finishes_what_is_under_way(store: Store, appender: Appender) -> None:
    [shard] = (await make_stream(store, "faces")).shards
    under_way = asyncio.ensure_future(appender.append([record(shard)]))
    await asyncio.sleep(0)
    await store.close()
    assert under_way.done()
    assert shard.last_position == 1
