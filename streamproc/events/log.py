"""The event log: what was told, in order, on disk before anybody hears of it.

Who tells others reads it from a cursor that is on disk too, so nothing is lost and nothing
overtaken, whoever is away. Knows what an event looks like; knows nothing of how one comes about.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Select, bindparam, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from streamproc.clock import Clock
from streamproc.db import Database, compiled
from streamproc.events import schema
from streamproc.events.schema import (
    Draft,
    OpenVisit,
    Standing,
    cursors,
    event_of,
    events,
    visit_of,
    visits,
    watched,
)
from streamproc.model.event import Event, EventKind
from streamproc.model.processor import ProcessorKey

_PRUNED_AT_ONCE: Final = 1000
"""Rows deleted in one transaction: writers wait meanwhile."""

_ADD: Final = compiled(
    insert(events).values(
        {
            name: bindparam(name)
            for name in ("kind", "region", "processor", "at", "logged_at", "body")
        }
    )
)
_ADD_VISIT: Final = compiled(
    insert(visits).values(
        {name: bindparam(name) for name in ("id", "region", "processor", "at", "body", "state")}
    )
)
_IS_OF: Final = {"of_region": "region", "of_processor": "processor"}
_DROP_VISITS: Final = compiled(
    delete(visits).where(*(visits.c[column] == bindparam(name) for name, column in _IS_OF.items()))
)
_DROP_WATCHED: Final = compiled(
    delete(watched).where(
        *(watched.c[column] == bindparam(name) for name, column in _IS_OF.items())
    )
)
_ADD_WATCHED: Final = compiled(
    insert(watched).values(
        {
            name: bindparam(name)
            for name in ("region", "processor", "media_s", "strangers", "status")
        }
    )
)


class EventLog:
    """The file events.db. Every method is on disk when it returns; each raises
    StoreUnavailable and StoreDamaged as db.Database does."""

    def __init__(
        self, database: Database, clock: Clock, newest_id: int, kept_s: float, kept_max: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._kept_s = kept_s
        self._kept_max = kept_max
        self._newest_id = newest_id
        self._grown = asyncio.Event()
        self._ending = asyncio.Event()
        self.appended_total: Counter[EventKind] = Counter()

    @classmethod
    async def open(cls, path: Path, clock: Clock, *, kept_s: float, kept_max: int) -> Self:
        """Events older than kept_s seconds, and all but the newest kept_max, are for prune().

        Raises StoreDamaged if the file cannot be read.
        """
        database = await Database.open_file(path, schema.metadata, schema.REVISIONS)
        try:
            async with database.read() as connection:
                # Of the last one ever, which may be pruned by now.
                newest = await connection.exec_driver_sql(
                    "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
                )
                newest_id = newest.scalar() or 0
        except BaseException:
            await database.close()
            raise
        return cls(database, clock, newest_id, kept_s, kept_max)

    async def aclose(self) -> None:
        self.end()
        await self._database.close()

    @property
    def newest_id(self) -> int:
        """The id of the last event ever, 0 if there was none; all up to it can be read."""
        return self._newest_id

    async def append(
        self, drafts: Sequence[Draft], standing: Standing | None = None
    ) -> list[Event]:
        """The drafts with their ids, in their order, and how their processor stands, at once.
        Whoever is cancelled does not learn whether they are in the log."""
        logged_at = self._clock.now()
        rows = [
            {
                "kind": draft.kind.value, "region": draft.region, "processor": draft.processor,
                "at": draft.at, "logged_at": logged_at, "body": json.dumps(draft.body),
            }
            for draft in drafts
        ]  # fmt: skip

        def add(connection: sqlite3.Connection) -> list[int]:
            ids = [connection.execute(_ADD, row).lastrowid or 0 for row in rows]
            if standing is not None:
                _replace(connection, standing)
            return ids

        ids = await self._database.transact(add, self._appended)
        self.appended_total.update(draft.kind for draft in drafts)
        return [
            Event(number, draft.kind, draft.region, draft.processor, draft.at, draft.body)
            for number, draft in zip(ids, drafts, strict=True)
        ]

    async def forget_processor(self, key: ProcessorKey) -> None:
        """How far it was watched, and its open visits; its events stay."""

        def drop(connection: sqlite3.Connection) -> None:
            _drop(connection, key)

        await self._database.transact(drop)

    async def standings(self) -> list[Standing]:
        """Of every processor that was ever watched and not forgotten."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(watched))).all()
            open_rows = (await connection.execute(select(visits))).all()
        found: dict[ProcessorKey, list[OpenVisit]] = {}
        for row in open_rows:
            found.setdefault((row.region, row.processor), []).append(visit_of(row))
        return [
            Standing(key, row.media_s, row.strangers, tuple(found.get(key, ())), row.status)
            for row in rows
            for key in [(row.region, row.processor)]
        ]

    async def open_visits(self) -> list[Event]:
        """Every visit that has entered and not left, each as an update with what is told of it;
        their id is that of the newest event they take into account."""
        newest_id = self._newest_id
        async with self._database.read() as connection:
            rows = (await connection.execute(select(visits))).all()
        return [
            Event(
                newest_id, EventKind.UPDATE, row.region, row.processor, row.at, json.loads(row.body)
            )
            for row in rows
        ]

    async def read(
        self, after: int, limit: int, *, region: str | None = None, processor: str | None = None
    ) -> list[Event]:
        """At most limit events behind the id after, oldest first."""
        wanted = select(events).where(events.c.id > after, *_of(region, processor))
        return await self._events(wanted.order_by(events.c.id).limit(limit))

    async def latest(
        self,
        limit: int,
        *,
        before: int | None = None,
        region: str | None = None,
        processor: str | None = None,
    ) -> list[Event]:
        """At most limit events before the id before, newest first."""
        wanted = select(events).where(*_of(region, processor))
        if before is not None:
            wanted = wanted.where(events.c.id < before)
        return await self._events(wanted.order_by(events.c.id.desc()).limit(limit))

    async def wait_beyond(self, event_id: int) -> None:
        """Return once there is an event behind this one."""
        while self._newest_id <= event_id:
            await self._grown.wait()

    async def ended(self) -> None:
        """Return once the daemon ends: callers are not to be kept waiting for events then."""
        await self._ending.wait()

    def end(self) -> None:
        self._ending.set()

    async def cursor(self, name: str) -> int | None:
        """The id of the last event that this outlet is done with; None if it never said."""
        async with self._database.read() as connection:
            found = select(cursors.c.event).where(cursors.c.name == name)
            event_id: int | None = await connection.scalar(found)
            return event_id

    async def move(self, name: str, event_id: int) -> None:
        """This outlet is done with everything up to the event."""
        moved = upsert(cursors).values(name=name, event=event_id)
        moved = moved.on_conflict_do_update(index_elements=["name"], set_={"event": event_id})
        async with self._database.write() as connection:
            await connection.execute(moved)

    async def keep_cursors(self, names: Collection[str]) -> None:
        """Forget those of outlets that there are no more."""
        async with self._database.write() as connection:
            await connection.execute(delete(cursors).where(cursors.c.name.not_in(list(names))))

    async def prune(self) -> int:
        """Delete what is kept no longer; its number."""
        pruned = 0
        while deleted := await self._prune_some():
            pruned += deleted
        return pruned

    async def _prune_some(self) -> int:
        async with self._database.write() as connection:
            too_old = events.c.logged_at < self._clock.now() - self._kept_s
            too_many = events.c.id <= self._newest_id - self._kept_max
            past = select(events.c.id).where(too_old | too_many).limit(_PRUNED_AT_ONCE)
            result = await connection.execute(
                delete(events).where(events.c.id.in_(past.scalar_subquery()))
            )
            return result.rowcount

    def _appended(self, ids: Sequence[int]) -> None:
        if ids:
            self._newest_id = ids[-1]
            grown, self._grown = self._grown, asyncio.Event()
            grown.set()

    async def _events(self, wanted: Select[Any]) -> list[Event]:
        async with self._database.read() as connection:
            return [event_of(row) for row in await connection.execute(wanted)]

    async def count(self) -> int:
        """Events that are kept."""
        async with self._database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(events)) or 0


def _of(region: str | None, processor: str | None) -> list[Any]:
    wanted = []
    if region is not None:
        wanted.append(events.c.region == region)
    if processor is not None:
        wanted.append(events.c.processor == processor)
    return wanted


def _replace(connection: sqlite3.Connection, standing: Standing) -> None:
    _drop(connection, standing.key)
    region, processor = standing.key
    common: Mapping[str, Any] = {"region": region, "processor": processor}
    connection.execute(
        _ADD_WATCHED,
        {
            **common,
            "media_s": standing.media_s,
            "strangers": standing.strangers,
            "status": standing.status,
        },
    )
    for visit in standing.visits:
        body, state = json.dumps(visit.body), json.dumps(visit.state)
        connection.execute(
            _ADD_VISIT, {**common, "id": visit.id, "at": visit.at, "body": body, "state": state}
        )


def _drop(connection: sqlite3.Connection, key: ProcessorKey) -> None:
    of = dict(zip(_IS_OF, key, strict=True))
    connection.execute(_DROP_VISITS, of)
    connection.execute(_DROP_WATCHED, of)
