"""The tables of the event log, and what goes into them as values.

Plain SQL types that SQLite and PostgreSQL share. Knows no statement.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Row, String, Table, Text

from streamproc.db import Revisions
from streamproc.model.event import Event, EventKind
from streamproc.model.processor import ProcessorKey

REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")
# SQLite makes only INTEGER an alias of its row id.
_Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()
events = Table(
    "events",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("region", String(32), nullable=False),
    Column("processor", String(128), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("logged_at", Float(53), nullable=False),  # wall time, by which events expire
    Column("body", Text, nullable=False),  # JSON
    Index("events_by_processor", "region", "processor", "id"),
    Index("events_by_time", "logged_at"),
    sqlite_autoincrement=True,  # an id is never used twice, so a cursor means the same for ever
)
visits = Table(  # those that are open
    "visits",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("region", String(32), nullable=False),
    Column("processor", String(128), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("body", Text, nullable=False),  # JSON, as an update of it would be told
    Column("state", Text, nullable=False),  # JSON, what it goes on with after a restart
    Index("visits_by_processor", "region", "processor"),
)
watched = Table(
    "watched",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("processor", String(128), primary_key=True),
    Column("media_s", Float(53)),  # media time up to which all is told
    Column("strangers", Integer, nullable=False),  # named so far
    Column("status", String(16)),  # the state that was told last
)
cursors = Table(
    "cursors",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("event", BigInteger, nullable=False),  # the id of the last one that is done with
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no place in the log yet."""

    kind: EventKind
    region: str
    processor: str
    at: float  # as Event has it
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """A visit that has entered and has not left, as it is on disk."""

    id: str
    at: float  # media time of this
    body: Mapping[str, Any]  # as an update of it would be told
    state: Mapping[str, Any]  # JSON; no embedding, no picture


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one processor was watched: all that a restart needs."""

    key: ProcessorKey
    media_s: float | None = None  # up to which all is told; None: nothing was seen yet
    strangers: int = 0  # named so far
    visits: tuple[OpenVisit, ...] = field(default=(), repr=False)
    status: str | None = None  # the state that was told last


def event_of(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        kind=EventKind(row.kind),
        region=row.region,
        processor=row.processor,
        at=row.at,
        body=json.loads(row.body),
    )


def visit_of(row: Row[Any]) -> OpenVisit:
    return OpenVisit(row.id, row.at, json.loads(row.body), json.loads(row.state))
