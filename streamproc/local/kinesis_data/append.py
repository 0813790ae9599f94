"""Appending records: every put that waits while one commit is under way shares the next.

A commit costs a flush of the disk whatever it carries, so sharing it is what makes many
single-record puts a second possible. Knows tables; knows nothing of requests.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import insert, update

from streamproc.clock import Clock
from streamproc.db import Database
from streamproc.local.kinesis_data.shards import Shard
from streamproc.local.kinesis_data.store import record_table, shard_table


@dataclass(frozen=True, slots=True)
class NewRecord:
    shard: Shard
    partition_key: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes by Kinesis' rule: the key counts, base64 does not."""
        return len(self.data) + len(self.partition_key.encode())


@dataclass(frozen=True, slots=True)
class Appended:
    position: int
    arrival_ms: int


class ShardGone(Exception):
    """The stream was deleted while the records were on their way."""


@dataclass(frozen=True, slots=True, eq=False)
class _Put:
    records: Sequence[NewRecord]
    done: asyncio.Future[list[Appended]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Appender:
    """The only writer of records."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[_Put] = []
        self._committing: asyncio.Task[None] | None = None

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        """Return once all of them are on disk: one answer per record, in their order.

        All records of one call belong to one stream. Raises ShardGone.
        """
        put = _Put(records)
        self._waiting.append(put)
        if self._committing is None or self._committing.done():
            # A task of its own: a caller who gives up must not undo the work of the others.
            self._committing = asyncio.create_task(self._commit_all())
        return await put.done

    async def close(self) -> None:
        """Return once what was appended is on disk."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        while self._waiting:
            puts, self._waiting = self._waiting, []
            try:
                answers = await self._commit(puts)
            except Exception as error:
                # It belongs to those who wait; the next commit is another attempt.
                for put in puts:
                    if not put.done.done():
                        put.done.set_exception(error)
                continue
            for put, answer in zip(puts, answers, strict=True):
                if put.done.done():
                    continue
                if answer is None:
                    put.done.set_exception(ShardGone())
                else:
                    put.done.set_result(answer)

    async def _commit(self, puts: Sequence[_Put]) -> list[list[Appended] | None]:
        """One transaction. None for a put whose stream is gone."""
        arrival_ms = round(self._clock.now() * 1000)
        counts = Counter(record.shard for put in puts for record in put.records)
        reserved: dict[Shard, int] = {}
        answers: list[list[Appended] | None] = []
        rows = []
        async with self._database.write() as connection:
            for shard, count in counts.items():
                # The database counts, not we: its word holds even after a commit that failed.
                last = (
                    await connection.execute(
                        update(shard_table)
                        .where(shard_table.c.key == shard.key)
                        .values(last_position=shard_table.c.last_position + count)
                        .returning(shard_table.c.last_position)
                    )
                ).scalar_one_or_none()
                if last is not None:
                    reserved[shard] = last - count
            for put in puts:
                if any(record.shard not in reserved for record in put.records):
                    answers.append(None)
                    continue
                answer = []
                for record in put.records:
                    reserved[record.shard] += 1
                    answer.append(Appended(reserved[record.shard], arrival_ms))
                    rows.append(
                        {
                            "shard_key": record.shard.key,
                            "position": reserved[record.shard],
                            "arrival_ms": arrival_ms,
                            "partition_key": record.partition_key,
                            "data": record.data,
                        }
                    )
                answers.append(answer)
            if rows:
                await connection.execute(insert(record_table), rows)
        for shard, position in reserved.items():
            shard.last_position = position
        return answers
