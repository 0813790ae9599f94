"""What was acknowledged is on disk, and stays there for as long as it should."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from streamproc.clock import FakeClock
from streamproc.local.kinesis_data import DataStreams
from streamproc.local.kinesis_data.append import Appender, NewRecord
from streamproc.local.kinesis_data.store import Store
from streamproc.local.kinesis_data.streams import SWEEP_INTERVAL_S
from streamproc.settings import DataConfig

SHARD = "shardId-000000000000"
HOUR_S = 3600.0

ReadAll = Callable[..., list[dict[str, Any]]]


def put(kinesis: Any, *numbers: int) -> list[str]:
    answer = kinesis.put_records(
        StreamName="faces",
        Records=[{"Data": str(number).encode(), "PartitionKey": "cam"} for number in numbers],
    )
    return [record["SequenceNumber"] for record in answer["Records"]]


def numbers(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["Data"]) for record in records]


def test_a_restart_loses_no_record_no_iterator_and_no_setting(
    local: Any, kinesis: Any, read_all: ReadAll
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1, Tags={"a": "b"})
    kinesis.increase_stream_retention_period(StreamName="faces", RetentionPeriodHours=48)
    put(kinesis, 0, 1, 2)
    iterator = kinesis.get_shard_iterator(
        StreamName="faces", ShardId=SHARD, ShardIteratorType="LATEST"
    )["ShardIterator"]
    described = kinesis.describe_stream(StreamName="faces")["StreamDescription"]
    before = read_all(kinesis, "faces")

    local.stop()
    local.start()
    kinesis = local.client()

    assert kinesis.describe_stream(StreamName="faces")["StreamDescription"] == described
    assert kinesis.list_tags_for_stream(StreamName="faces")["Tags"] == [{"Key": "a", "Value": "b"}]
    assert read_all(kinesis, "faces") == before
    put(kinesis, 3)
    assert numbers(kinesis.get_records(ShardIterator=iterator)["Records"]) == [3]


def test_sequence_numbers_rise_over_a_restart_a_clock_set_back_and_an_emptied_shard(
    local: Any, kinesis: Any, read_all: ReadAll
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    given = put(kinesis, 0, 1)
    local.advance(25 * HOUR_S)
    local.run(local.streams.sweep())
    assert read_all(kinesis, "faces") == []
    local.stop()
    local.clock = type(local.clock)(now=local.clock.now() - 48 * HOUR_S)
    local.start()
    kinesis = local.client()
    given += put(kinesis, 2, 3)
    assert given == sorted(set(given))
    after = read_all(
        kinesis, "faces", kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=given[1]
    )
    assert numbers(after) == [2, 3]


def test_records_leave_when_retention_says_so(local: Any, kinesis: Any, read_all: ReadAll) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    first = put(kinesis, 0)[0]
    local.advance(23 * HOUR_S)
    put(kinesis, 1)
    iterator = kinesis.get_shard_iterator(
        StreamName="faces", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert local.run(local.streams.sweep()) == 0
    local.advance(1 * HOUR_S - 10)
    assert local.run(local.streams.sweep()) == 0
    assert numbers(read_all(kinesis, "faces")) == [0, 1]
    local.advance(10.001)
    local.run(local.streams.sweep())
    assert numbers(read_all(kinesis, "faces")) == [1]
    # A consumer whose checkpoint is gone goes on with the oldest record that is left.
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        found = read_all(kinesis, "faces", kind=kind, StartingSequenceNumber=first)
        assert numbers(found) == [1]
    with pytest.raises(kinesis.exceptions.ExpiredIteratorException):
        kinesis.get_records(ShardIterator=iterator)


def test_a_backlog_larger_than_one_transaction_leaves_whole(local: Any, kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    for _ in range(9):
        put(kinesis, *range(500))
    local.advance(25 * HOUR_S)
    put(kinesis, 1)
    local.run(local.streams.sweep())
    assert local.run(local.streams.sweep()) == 0
    iterator = kinesis.get_shard_iterator(
        StreamName="faces", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert numbers(kinesis.get_records(ShardIterator=iterator)["Records"]) == [1]


def test_an_iterator_before_what_retention_removed_finds_the_tip(
    local_kinesis: Callable[..., Any],
) -> None:
    local = local_kinesis(iterator_s_max=100 * HOUR_S)
    kinesis = local.client()
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    put(kinesis, 0, 1, 2)
    iterator = kinesis.get_shard_iterator(
        StreamName="faces", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    local.advance(25 * HOUR_S)
    local.run(local.streams.sweep())
    page = kinesis.get_records(ShardIterator=iterator)
    assert (page["Records"], page["MillisBehindLatest"]) == ([], 0)
    put(kinesis, 3)
    following = kinesis.get_records(ShardIterator=page["NextShardIterator"])
    assert numbers(following["Records"]) == [3]


def test_lowering_retention_takes_effect_at_once(
    local: Any, kinesis: Any, read_all: ReadAll
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    kinesis.increase_stream_retention_period(StreamName="faces", RetentionPeriodHours=48)
    put(kinesis, 0)
    local.advance(30 * HOUR_S)
    put(kinesis, 1)
    assert numbers(read_all(kinesis, "faces")) == [0, 1]
    kinesis.decrease_stream_retention_period(StreamName="faces", RetentionPeriodHours=24)
    assert numbers(read_all(kinesis, "faces")) == [1]


def test_the_sweep_runs_by_itself_and_removes_deleted_streams_from_disk(
    local: Any, kinesis: Any, tmp_path: Path
) -> None:
    for name in ("faces", "other"):
        kinesis.create_stream(StreamName=name, ShardCount=2)
    put(kinesis, *range(5))
    kinesis.put_record(StreamName="other", Data=b"kept", PartitionKey="cam")
    kinesis.delete_stream(StreamName="faces")

    def rows() -> tuple[int, int]:
        with sqlite3.connect(tmp_path / "data.sqlite") as database:
            [records] = database.execute("SELECT count(*) FROM record").fetchone()
            [orphans] = database.execute("SELECT count(*) FROM orphan").fetchone()
        database.close()
        return records, orphans

    assert rows() == (6, 2)
    local.stop()
    local.start()  # what is left to remove survives a restart
    local.advance(SWEEP_INTERVAL_S)

    async def swept() -> None:
        while rows() != (1, 0):  # noqa: ASYNC110 (nobody is told when a sweep is done)
            await asyncio.sleep(0.01)

    local.run(swept())


def test_at_timestamp_before_retention_gives_the_oldest_record(
    local: Any, kinesis: Any, read_all: ReadAll
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    put(kinesis, 0)
    local.advance(25 * HOUR_S)
    put(kinesis, 1)
    local.run(local.streams.sweep())
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    found = read_all(kinesis, "faces", kind="AT_TIMESTAMP", Timestamp=long_ago)
    assert numbers(found) == [1]


def test_what_was_acknowledged_is_in_the_files_of_a_service_that_still_runs(
    local: Any, kinesis: Any, tmp_path: Path
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    put(kinesis, *range(3))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in tmp_path.glob("data.sqlite*"):
        shutil.copy(file, crashed)
    with sqlite3.connect(crashed / "data.sqlite") as database:
        rows = database.execute("SELECT data FROM record ORDER BY position").fetchall()
    database.close()
    assert rows == [(b"0",), (b"1",), (b"2",)]


async def test_a_file_that_cannot_be_loaded_is_let_go_of(tmp_path: Path) -> None:
    """An open connection is a thread that goes on without its event loop."""
    path = tmp_path / "data.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE stream (id INTEGER PRIMARY KEY, region TEXT)")
    database.close()
    await asyncio.to_thread(int)  # the loop's own worker stays
    before = set(threading.enumerate())
    with pytest.raises(OperationalError, match="no such column"):
        await DataStreams.open(path, DataConfig(), "111122223333", FakeClock())
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join, 60)
        assert not thread.is_alive()


async def test_a_sweep_in_the_middle_of_a_read_hides_no_later_record(tmp_path: Path) -> None:
    """An empty answer would mean that retention left nothing, and move the iterator to the tip."""
    path = tmp_path / "data.sqlite"
    store = await Store.open(path)
    stream = await store.create(
        region="eu-west-1", account_id="111122223333", name="faces", created_ms=0,
        mode="PROVISIONED", retention_hours=24, record_bytes_max=1024, tags={}, shard_count=1,
    )  # fmt: skip
    [shard] = stream.shards
    appender = Appender(store.database, FakeClock())
    await appender.append([NewRecord(shard, "cam", str(number).encode()) for number in range(4)])

    def sweep(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            with sqlite3.connect(path) as database:
                database.execute("DELETE FROM record WHERE position <= 2")
            database.close()

    event.listen(Engine, "after_cursor_execute", sweep)
    try:
        found = await store.read(shard, 1, 2, 10**9)
    finally:
        event.remove(Engine, "after_cursor_execute", sweep)
        await store.close()
    assert [record.data for record in found] == [b"0", b"1"]
