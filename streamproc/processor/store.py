"""Stream processors on disk: what they are, where they stand and how far they have come.

Each method is one transaction: on disk when it returns. Knows no tasks and no rules; the
state table and the supervisor decide what is written.
"""

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import (
    JSON,
    Column,
    Float,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from streamproc.db import Database, Revisions, compiled
from streamproc.model.position import AfterFragment, FromServerTime, StartAt, StartPosition
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.state import ProcessorState

REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")
metadata = MetaData()
_processors = Table(
    "processors",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("spec", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("desired", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("start_at", String(16), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("checkpoint", String(128)),
    Column("sampled_at", Float),
)
_SAVE_CHECKPOINT: Final = compiled(
    update(_processors)
    .where(
        _processors.c.region == bindparam("of_region"), _processors.c.name == bindparam("of_name")
    )
    .values(checkpoint=bindparam("checkpoint"), sampled_at=bindparam("sampled_at"))
)


@dataclass(frozen=True, slots=True)
class Row:
    """One processor as it is stored. Times are seconds since the epoch."""

    spec: ProcessorSpec
    state: ProcessorState
    desired: ProcessorState  # RUNNING or STOPPED: what its user asked for last
    message: str  # why it FAILED, or what a stop left behind
    created_at: float
    updated_at: float  # of the last change of state
    start_at: StartAt = StartAt.NOW  # where its last Start began
    started_at: float = 0.0  # when that was
    checkpoint: str | None = None  # number of the last fragment that is done with
    sampled_at: float | None = None  # media time of the frame sampled last up to its end

    @property
    def key(self) -> ProcessorKey:
        return self.spec.key

    @property
    def resume_position(self) -> StartPosition:
        """Where a processor goes on that was interrupted, so that nothing is missing."""
        if self.checkpoint is not None:
            return AfterFragment(self.checkpoint)
        if self.start_at is StartAt.EARLIEST:
            return StartAt.EARLIEST
        return FromServerTime(self.started_at)


class ProcessorStore:
    """The table of processors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Raises StoreDamaged if the file cannot be read."""
        return cls(await Database.open_file(path, metadata, REVISIONS))

    async def aclose(self) -> None:
        await self._database.close()

    async def load(self) -> list[Row]:
        """Every processor, by region and name."""
        async with self._database.read() as connection:
            found = await connection.execute(
                select(_processors).order_by(_processors.c.region, _processors.c.name)
            )
            return [_row(values) for values in found.mappings()]

    async def insert(self, row: Row) -> None:
        async with self._database.write() as connection:
            await connection.execute(insert(_processors).values(_values(row)))

    async def save_state(self, row: Row) -> None:
        """Write where the processor stands; its start position and checkpoint stay."""
        await self._update(row, ("state", "desired", "message", "updated_at"))

    async def save_start(self, row: Row) -> None:
        """Write where the processor stands and where it begins anew."""
        begin = ("start_at", "started_at", "checkpoint", "sampled_at")
        await self._update(row, ("state", "desired", "message", "updated_at", *begin))

    async def save_checkpoint(self, key: ProcessorKey, checkpoint: Checkpoint) -> None:
        region, name = key
        parameters = {
            "of_region": region,
            "of_name": name,
            "checkpoint": checkpoint.number,
            "sampled_at": checkpoint.sampled_at,
        }

        def save(connection: sqlite3.Connection) -> None:
            connection.execute(_SAVE_CHECKPOINT, parameters)

        await self._database.transact(save)

    async def delete(self, row: Row) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(_processors).where(*_is(row.key)))

    async def _update(self, row: Row, columns: tuple[str, ...]) -> None:
        values = _values(row)
        async with self._database.write() as connection:
            await connection.execute(
                update(_processors)
                .where(*_is(row.key))
                .values({column: values[column] for column in columns})
            )


def _is(key: ProcessorKey) -> tuple[Any, Any]:
    return _processors.c.region == key[0], _processors.c.name == key[1]


def _values(row: Row) -> dict[str, Any]:
    return {
        "region": row.spec.region,
        "name": row.spec.name,
        "spec": asdict(row.spec),
        "state": row.state.value,
        "desired": row.desired.value,
        "message": row.message,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "start_at": row.start_at.value,
        "started_at": row.started_at,
        "checkpoint": row.checkpoint,
        "sampled_at": row.sampled_at,
    }


def _row(values: Any) -> Row:
    return Row(
        spec=ProcessorSpec(**values["spec"]),
        state=ProcessorState(values["state"]),
        desired=ProcessorState(values["desired"]),
        message=values["message"],
        created_at=values["created_at"],
        updated_at=values["updated_at"],
        start_at=StartAt(values["start_at"]),
        started_at=values["started_at"],
        checkpoint=values["checkpoint"],
        sampled_at=values["sampled_at"],
    )
