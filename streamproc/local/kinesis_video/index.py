"""The index of the archive: one row per fragment on disk, in SQL.

Knows rows and the order of fragments; knows nothing of files or of what is still arriving.
Every reading method takes a cutoff: fragments whose server timestamp is before it are expired
and do not exist for anybody, even while their rows wait to be swept.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.db import Database, compiled
from streamproc.local.kinesis_video.tables import FRAGMENTS, HEADERS

_ADD_HEADER: Final = compiled(sqlite.insert(HEADERS).on_conflict_do_nothing())
_ADD_FRAGMENT: Final = compiled(insert(FRAGMENTS))
_PAGE: Final = 256  # rows looked at together when the oldest must go


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fragment's bytes are: Cluster and what followed it, as they came."""

    segment: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class StoredFragment:
    """A fragment on disk. Timestamps are milliseconds since the epoch."""

    number: str
    server_ms: int
    producer_ms: int
    length_ms: int
    header: bytes = field(repr=False)
    place: Place


class Origin(Enum):
    """Whose clock a timestamp is of."""

    SERVER = "SERVER_TIMESTAMP"
    PRODUCER = "PRODUCER_TIMESTAMP"

    @property
    def column(self) -> Column[int]:
        return FRAGMENTS.c.server_ms if self is Origin.SERVER else FRAGMENTS.c.producer_ms


class FragmentIndex:
    """The fragments of one stream. Every method is one transaction."""

    def __init__(self, database: Database, stream_id: int) -> None:
        self._database = database
        self._stream_id = stream_id
        self._mine = FRAGMENTS.c.stream_id == stream_id

    async def add(self, fragment: StoredFragment) -> None:
        """On disk when this returns. Raises sqlite3.IntegrityError if the stream is no more."""
        digest = hashlib.sha256(fragment.header).digest()
        header = {"stream_id": self._stream_id, "digest": digest, "data": fragment.header}
        place = fragment.place
        row = {
            "stream_id": self._stream_id,
            "number": fragment.number,
            "server_ms": fragment.server_ms,
            "producer_ms": fragment.producer_ms,
            "length_ms": fragment.length_ms,
            "header_digest": digest,
            "segment": place.segment,
            "offset": place.offset,
            "size": place.size,
        }

        def add(connection: sqlite3.Connection) -> None:
            # Again with every fragment: a header that the sweep took away comes back.
            connection.execute(_ADD_HEADER, header)
            connection.execute(_ADD_FRAGMENT, row)

        await self._database.transact(add)

    async def after(self, number: str, cutoff_ms: int) -> StoredFragment | None:
        """The first fragment behind a number ("" for the oldest of all)."""
        wanted = self._select(cutoff_ms).where(FRAGMENTS.c.number > number)
        return await self._first(wanted.order_by(FRAGMENTS.c.number))

    async def begun_by(
        self, origin: Origin, instant_ms: int, cutoff_ms: int
    ) -> StoredFragment | None:
        """The fragment that began last, at the instant or before it."""
        wanted = self._select(cutoff_ms).where(origin.column <= instant_ms)
        return await self._first(wanted.order_by(origin.column.desc(), FRAGMENTS.c.number))

    async def begun_after(
        self, origin: Origin, instant_ms: int, cutoff_ms: int
    ) -> StoredFragment | None:
        """The fragment that began first behind the instant."""
        wanted = self._select(cutoff_ms).where(origin.column > instant_ms)
        return await self._first(wanted.order_by(origin.column, FRAGMENTS.c.number))

    async def within(
        self, span: tuple[Origin, int, int], after: str, limit: int, cutoff_ms: int
    ) -> list[StoredFragment]:
        """Fragments that began from .. to, both included, behind a number, in order."""
        origin, start_ms, end_ms = span
        wanted = self._select(cutoff_ms).where(
            FRAGMENTS.c.number > after, origin.column.between(start_ms, end_ms)
        )
        return await self._all(wanted.order_by(FRAGMENTS.c.number).limit(limit))

    async def find(self, number: str, cutoff_ms: int) -> StoredFragment | None:
        return await self._first(self._select(cutoff_ms).where(FRAGMENTS.c.number == number))

    async def expire(self, cutoff_ms: int, kept: int, bytes_max: int) -> tuple[int, set[int]]:
        """Forget what began before the cutoff, then the oldest until bytes_max is kept.

        kept is how many bytes there are now. The newest fragment stays, however large it is.
        Returns the bytes that are kept and the segments that hold nothing any more.
        """
        touched: set[int] = set()
        async with self._database.write() as connection:
            kept -= await self._delete(connection, FRAGMENTS.c.server_ms < cutoff_ms, touched)
            while kept > bytes_max and (last := await self._oldest(connection, kept - bytes_max)):
                kept -= await self._delete(connection, FRAGMENTS.c.number <= last, touched)
            used = select(FRAGMENTS.c.segment).where(self._mine, FRAGMENTS.c.segment.in_(touched))
            emptied = touched - set((await connection.execute(used.distinct())).scalars())
            if emptied:  # seldom, and only then are there likely to be headers without use
                await self._delete_headers(connection)
        return kept, emptied

    async def drop_missing(self, sizes: Mapping[int, int]) -> tuple[int, dict[int, int]]:
        """Forget fragments that lie beyond the end of their segment, by segment sizes in bytes.

        Returns how many were forgotten, and where the last one that is left in each segment
        ends.
        """
        dropped = 0
        end = FRAGMENTS.c.offset + FRAGMENTS.c.size
        async with self._database.write() as connection:
            for segment, last in (await self._ends(connection)).items():
                size = sizes.get(segment, 0)
                if last > size:
                    beyond = and_(self._mine, FRAGMENTS.c.segment == segment, end > size)
                    dropped += (await connection.execute(delete(FRAGMENTS).where(beyond))).rowcount
            await self._delete_headers(connection)
            return dropped, await self._ends(connection)

    async def bytes_kept(self) -> int:
        total = select(func.coalesce(func.sum(FRAGMENTS.c.size), 0)).where(self._mine)
        async with self._database.read() as connection:
            return int((await connection.execute(total)).scalar_one())

    async def oldest_ms(self) -> int | None:
        """The server timestamp of the fragment that began first; None where there is none."""
        oldest = select(func.min(FRAGMENTS.c.server_ms)).where(self._mine)
        async with self._database.read() as connection:
            found: int | None = (await connection.execute(oldest)).scalar_one()
        return found

    def _select(self, cutoff_ms: int) -> Select[Any]:
        header = and_(
            HEADERS.c.stream_id == FRAGMENTS.c.stream_id,
            HEADERS.c.digest == FRAGMENTS.c.header_digest,
        )
        return (
            select(FRAGMENTS, HEADERS.c.data.label("header"))
            .join_from(FRAGMENTS, HEADERS, header)
            .where(self._mine, FRAGMENTS.c.server_ms >= cutoff_ms)
        )

    async def _first(self, wanted: Select[Any]) -> StoredFragment | None:
        return next(iter(await self._all(wanted.limit(1))), None)

    async def _all(self, wanted: Select[Any]) -> list[StoredFragment]:
        async with self._database.read() as connection:
            return [_fragment(row) for row in await connection.execute(wanted)]

    async def _ends(self, connection: AsyncConnection) -> dict[int, int]:
        """Where the last fragment of each segment ends."""
        end = func.max(FRAGMENTS.c.offset + FRAGMENTS.c.size).label("end")
        ends = select(FRAGMENTS.c.segment, end).where(self._mine).group_by(FRAGMENTS.c.segment)
        return {row.segment: row.end for row in await connection.execute(ends)}

    async def _delete(
        self, connection: AsyncConnection, which: ColumnElement[bool], touched: set[int]
    ) -> int:
        """Delete rows, add their segments to touched, return how many bytes they had."""
        gone = delete(FRAGMENTS).where(self._mine, which)
        rows = await connection.execute(gone.returning(FRAGMENTS.c.segment, FRAGMENTS.c.size))
        freed = 0
        for segment, size in rows:
            touched.add(segment)
            freed += size
        return freed

    async def _delete_headers(self, connection: AsyncConnection) -> None:
        used = select(FRAGMENTS.c.header_digest).where(self._mine)
        await connection.execute(
            delete(HEADERS).where(
                HEADERS.c.stream_id == self._stream_id, HEADERS.c.digest.not_in(used)
            )
        )

    async def _oldest(self, connection: AsyncConnection, excess: int) -> str | None:
        """The number up to which fragments must go to free so many bytes, or one page of them;
        None if only the newest is left."""
        oldest = select(FRAGMENTS.c.number, FRAGMENTS.c.size).where(self._mine)
        rows = await connection.execute(oldest.order_by(FRAGMENTS.c.number).limit(_PAGE + 1))
        return _enough(((row.number, row.size) for row in rows.all()[:-1]), excess)


def _enough(fragments: Iterable[tuple[str, int]], excess: int) -> str | None:
    last = None
    for number, size in fragments:
        if excess <= 0:
            break
        last = number
        excess -= size
    return last


def _fragment(row: Row[Any]) -> StoredFragment:
    return StoredFragment(
        number=row.number,
        server_ms=row.server_ms,
        producer_ms=row.producer_ms,
        length_ms=row.length_ms,
        header=row.header,
        place=Place(row.segment, row.offset, row.size),
    )
