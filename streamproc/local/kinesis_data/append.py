"""Appending records: each put is one change of the database, and shares its commit with others.

Knows tables; knows nothing of requests.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import bindparam, insert, update

from streamproc.clock import Clock
from streamproc.db import Database, compiled
from streamproc.local.kinesis_data.shards import Shard
from streamproc.local.kinesis_data.store import record_table, shard_table

_RESERVE = compiled(
    update(shard_table)
    .where(shard_table.c.key == bindparam("shard_key"))
    .values(last_position=shard_table.c.last_position + bindparam("count"))
    .returning(shard_table.c.last_position)
)
_INSERT = compiled(insert(record_table))


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
    shard: Shard
    position: int
    arrival_ms: int


class ShardGone(Exception):
    """The stream was deleted while the records were on their way."""


class Appender:
    """The only writer of records."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        """Return once all of them are on disk: one answer per record, in their order.

        All records of one call belong to one stream. Raises ShardGone.
        """
        return await self._database.transact(partial(self._insert, records), _make_known)

    def _insert(
        self, records: Sequence[NewRecord], connection: sqlite3.Connection
    ) -> list[Appended]:
        arrival_ms = round(self._clock.now() * 1000)
        positions = {
            shard: _reserve(shard, count, connection)
            for shard, count in Counter(record.shard for record in records).items()
        }
        appended = [
            Appended(record.shard, next(positions[record.shard]), arrival_ms) for record in records
        ]
        connection.executemany(
            _INSERT,
            (
                {
                    "shard_key": record.shard.key,
                    "position": answer.position,
                    "arrival_ms": arrival_ms,
                    "partition_key": record.partition_key,
                    "data": record.data,
                }
                for record, answer in zip(records, appended, strict=True)
            ),
        )
        return appended


def _reserve(shard: Shard, count: int, connection: sqlite3.Connection) -> Iterator[int]:
    """The next positions of a shard. The database counts, not we: its word holds even after a
    commit that failed."""
    parameters = {"shard_key": shard.key, "count": count}
    found = connection.execute(_RESERVE, parameters).fetchall()
    if not found:
        raise ShardGone
    [(last,)] = found
    return iter(range(last - count + 1, last + 1))


def _make_known(appended: Sequence[Appended]) -> None:
    for one in appended:
        one.shard.last_position = one.position
