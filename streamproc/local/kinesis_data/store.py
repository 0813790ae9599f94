"""Data streams on disk: tables, and the statements that read and change them.

Every method is one transaction, or a few that may be interrupted between. Knows SQL; knows
neither AWS's rules nor time.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)

from streamproc.db import Database, Revisions
from streamproc.local.kinesis_data.shards import Shard, Stream

REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")
metadata = MetaData()
secret_table = Table("secret", metadata, Column("value", LargeBinary, nullable=False))
stream_table = Table(
    "stream",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Column("mode", String, nullable=False),
    Column("retention_hours", Integer, nullable=False),
    Column("record_bytes_max", Integer, nullable=False),
    Column("tags", JSON, nullable=False),
    UniqueConstraint("region", "name"),
    sqlite_autoincrement=True,
)
shard_table = Table(
    "shard",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("stream_id", ForeignKey("stream.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    # Kept apart from the records: positions go on even when retention has removed them all.
    Column("last_position", Integer, nullable=False),
    UniqueConstraint("stream_id", "number"),
    # A key used twice would give an old iterator a stranger's records.
    sqlite_autoincrement=True,
)
# Shards of deleted streams, whose records sweep_orphans has still to remove.
orphan_table = Table("orphan", metadata, Column("shard_key", Integer, primary_key=True))
record_table = Table(
    "record",
    metadata,
    # No foreign key: the records of a deleted stream go later, a few at a time.
    Column("shard_key", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("arrival_ms", Integer, nullable=False),
    Column("partition_key", String, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("record_arrival", "shard_key", "arrival_ms", "position"),
)
_record = record_table.c
_SWEEP_ROWS = 2000  # deleted per transaction, so that writers get their turn


@dataclass(frozen=True, slots=True)
class StoredRecord:
    position: int
    arrival_ms: int
    partition_key: str
    data: bytes


class Store:
    """The database of all data streams of one daemon."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    async def open(cls, path: Path) -> Self:
        return cls(await Database.open_file(path, metadata, REVISIONS))

    async def close(self) -> None:
        await self.database.close()

    async def secret(self) -> bytes:
        """The key that signs tokens; made once per database."""
        async with self.database.write() as connection:
            value = await connection.scalar(select(secret_table.c.value))
            if value is None:
                value = secrets.token_bytes(32)
                await connection.execute(insert(secret_table).values(value=value))
        return bytes(value)

    async def load(self, account_id: str) -> list[Stream]:
        async with self.database.read() as connection:
            stream_rows = (await connection.execute(select(stream_table))).mappings().all()
            shard_rows = (
                await connection.execute(select(shard_table).order_by(shard_table.c.number))
            ).all()
        streams = {row["id"]: Stream(**row, account_id=account_id) for row in stream_rows}
        for row in shard_rows:
            streams[row.stream_id].shards.append(Shard(row.key, row.number, row.last_position))
        return list(streams.values())

    async def create(
        self,
        *,
        region: str,
        account_id: str,
        name: str,
        created_ms: int,
        mode: str,
        retention_hours: int,
        record_bytes_max: int,
        tags: dict[str, str],
        shard_count: int,
    ) -> Stream:
        row = {
            "region": region,
            "name": name,
            "created_ms": created_ms,
            "mode": mode,
            "retention_hours": retention_hours,
            "record_bytes_max": record_bytes_max,
            "tags": tags,
        }
        shards = []
        async with self.database.write() as connection:
            stream_id = (
                await connection.execute(
                    insert(stream_table).values(row).returning(stream_table.c.id)
                )
            ).scalar_one()
            for index in range(shard_count):
                statement = insert(shard_table).values(
                    stream_id=stream_id, number=index, last_position=0
                )
                result = await connection.execute(statement.returning(shard_table.c.key))
                shards.append(Shard(result.scalar_one(), index, 0))
        return Stream(
            id=stream_id,
            region=region,
            account_id=account_id,
            name=name,
            created_ms=created_ms,
            mode=mode,
            retention_hours=retention_hours,
            record_bytes_max=record_bytes_max,
            tags=tags,
            shards=shards,
        )

    async def update(self, stream: Stream, **values: object) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                update(stream_table).where(stream_table.c.id == stream.id).values(values)
            )

    async def delete(self, stream: Stream) -> None:
        """The stream and its shards; sweep_orphans removes the records."""
        orphans = [{"shard_key": shard.key} for shard in stream.shards]
        async with self.database.write() as connection:
            await connection.execute(insert(orphan_table), orphans)
            await connection.execute(delete(stream_table).where(stream_table.c.id == stream.id))

    async def read(
        self, shard: Shard, position: int, limit: int, bytes_max: int
    ) -> list[StoredRecord]:
        """Records from a position on: limit of them, or as many as fit, but at least one."""
        here = (_record.shard_key == shard.key) & (_record.position >= position)
        # length() of a blob reads no blob, so a backlog of large records costs no memory.
        size = func.length(_record.data) + func.length(_record.partition_key)
        async with self.database.read() as connection:
            # One moment for both statements: a sweep between them would leave nothing to find.
            await connection.exec_driver_sql("BEGIN")
            sizes = await connection.execute(
                select(_record.position, size).where(here).order_by(_record.position).limit(limit)
            )
            last, total = None, 0
            for row_position, row_bytes in sizes:
                total += row_bytes
                if last is not None and total > bytes_max:
                    break
                last = row_position
            if last is None:
                return []
            rows = await connection.execute(
                select(_record.position, _record.arrival_ms, _record.partition_key, _record.data)
                .where(here & (_record.position <= last))
                .order_by(_record.position)
            )
            return [StoredRecord(*row) for row in rows]

    async def first_since(self, shard: Shard, arrival_ms: int) -> int | None:
        """Position of the first record that arrived at an instant or later."""
        async with self.database.read() as connection:
            position: int | None = await connection.scalar(
                select(func.min(_record.position)).where(
                    _record.shard_key == shard.key, _record.arrival_ms >= arrival_ms
                )
            )
        return position

    async def sweep(self, shard: Shard, before_ms: int) -> int:
        """Remove records that arrived before an instant; return how many."""
        return await self._sweep(shard.key, before_ms)

    async def sweep_orphans(self) -> int:
        """Remove records of deleted streams; return how many."""
        async with self.database.read() as connection:
            keys = (await connection.execute(select(orphan_table.c.shard_key))).scalars().all()
        total = 0
        for key in keys:
            total += await self._sweep(key, None)
            async with self.database.write() as connection:
                await connection.execute(
                    delete(orphan_table).where(orphan_table.c.shard_key == key)
                )
        return total

    async def _sweep(self, shard_key: int, before_ms: int | None) -> int:
        condition = _record.shard_key == shard_key
        if before_ms is not None:
            condition &= _record.arrival_ms < before_ms
        some = select(_record.position).where(condition).limit(_SWEEP_ROWS).scalar_subquery()
        statement = delete(record_table).where(
            _record.shard_key == shard_key, _record.position.in_(some)
        )
        total = 0
        while True:
            async with self.database.write() as connection:
                count = (await connection.execute(statement)).rowcount
            total += count
            if count < _SWEEP_ROWS:
                return total
