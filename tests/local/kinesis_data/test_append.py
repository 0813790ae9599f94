"""Puts share commits, and each hears of its own fate only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from streamproc.clock import FakeClock
from streamproc.local.kinesis_data.append import Appender, NewRecord, ShardGone
from streamproc.local.kinesis_data.shards import Shard, Stream
from streamproc.local.kinesis_data.store import Store


class CountingDatabase:
    """A real database that counts its transactions and fails the next few if told."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.commits = 0
        self.failures = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        async with self._database.write() as connection:
            yield connection
            self.commits += 1
            if self.failures:
                self.failures -= 1
                raise OperationalError("COMMIT", {}, Exception("disk full"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data.sqlite")
    yield store
    await store.close()


@pytest.fixture
def database(store: Store) -> CountingDatabase:
    return CountingDatabase(store.database)


@pytest.fixture
async def appender(database: Any) -> AsyncIterator[Appender]:
    appender = Appender(database, FakeClock())
    yield appender
    await appender.close()


async def make_stream(store: Store, name: str, shards: int = 1) -> Stream:
    return await store.create(
        region="eu-west-1", account_id="111122223333", name=name, created_ms=0,
        mode="PROVISIONED", retention_hours=24, record_bytes_max=1024, tags={}, shard_count=shards,
    )  # fmt: skip


def record(shard: Shard, data: bytes = b"") -> NewRecord:
    return NewRecord(shard, "cam", data)


async def test_puts_that_wait_share_a_commit(
    store: Store, appender: Appender, database: CountingDatabase
) -> None:
    [shard] = (await make_stream(store, "faces")).shards
    answers = await asyncio.gather(
        *(appender.append([record(shard, str(number).encode())]) for number in range(100))
    )
    assert database.commits <= 2
    assert [answer[0].position for answer in answers] == list(range(1, 101))
    assert shard.last_position == 100
    stored = await store.read(shard, 1, 1000, 10**9)
    assert [int(row.data) for row in stored] == list(range(100))


async def test_a_commit_that_fails_stores_nothing_and_the_next_goes_on(
    store: Store, appender: Appender, database: CountingDatabase
) -> None:
    [shard] = (await make_stream(store, "faces")).shards
    await appender.append([record(shard, b"0")])
    database.failures = 1
    with pytest.raises(OperationalError, match="disk full"):
        await appender.append([record(shard, b"lost")])
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
    first = asyncio.ensure_future(appender.append([record(shard, b"0")]))
    second = asyncio.ensure_future(appender.append([record(shard, b"1")]))
    await asyncio.sleep(0)
    first.cancel()
    [answer] = await second
    assert answer.position == 2
    assert shard.last_position == 2


async def test_closing_finishes_what_is_under_way(store: Store, appender: Appender) -> None:
    [shard] = (await make_stream(store, "faces")).shards
    under_way = asyncio.ensure_future(appender.append([record(shard)]))
    await asyncio.sleep(0)
    await appender.close()
    assert under_way.done()
    assert len(await store.read(shard, 1, 10, 10**9)) == 1
