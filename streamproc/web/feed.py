"""One tab's stream: every event once and in order, and snapshots as they change.

A tab reads the event log from its own place, so that it may be slow, leave and come back: no
queue of it is kept. Knows the log and the board; knows no HTTP.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from streamproc.aio import of_its_own
from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.gateway.errors import AccessDenied, TooManyConnections
from streamproc.model.caller import Caller, Right
from streamproc.model.event import Event
from streamproc.web.snapshots import Board, Topic, trouble
from streamproc.web.sse import HEARTBEAT, HEARTBEAT_S, OPENING, message

EVENTS: Final = "event"
"""The name of the messages that carry events."""
_EVENTS_RIGHT: Final = Right("rekognition:ListStreamprocEvents", "*")
_EVENTS_PER_READ: Final = 100
REGIONS_MAX: Final = 16
"""Whose consoles are open at a time."""


class Log(Protocol):
    """The event log, as far as it is read here."""

    @property
    def newest_id(self) -> int: ...

    async def read(self, after: int, limit: int, *, region: str | None = None) -> Sequence[Event]:
        """Events of a region behind this id, rising. Raises StoreUnavailable, StoreDamaged."""
        ...

    async def wait_beyond(self, event_id: int) -> None:
        """Until there is a newer one."""
        ...


@dataclass(slots=True)
class _Place:
    """How far a tab has come."""

    event_id: int
    versions: dict[str, int] = field(default_factory=dict)  # by topic
    trouble: str = ""


class Feed:
    """Everything that tabs are told. about is what each is told first; log is None where no
    events are kept."""

    def __init__(
        self,
        topics: Sequence[Topic],
        log: Log | None,
        clock: Clock,
        about: Mapping[str, Any],
        *,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._topics = topics
        self._log = log
        self._clock = clock
        self._about = dict(about)
        self._heartbeat_s = heartbeat_s
        self._boards: dict[str, Board] = {}  # by region
        self._tabs: Counter[str] = Counter()
        self._listening: asyncio.Task[None] | None = None

    def refusals(self, caller: Caller) -> dict[str, str]:
        """By the name of its messages, why the caller may not see something. Raises AccessDenied
        if nothing would be left to see."""
        rights = {topic.name: topic.right for topic in self._topics}
        if self._log is not None:
            rights[EVENTS] = _EVENTS_RIGHT
        said = {name: caller.refusal(right) for name, right in rights.items()}
        refused = {name: refusal for name, refusal in said.items() if refusal}
        if refused and len(refused) == len(rights):
            raise AccessDenied(next(iter(refused.values())))
        return refused

    @contextmanager
    def watched(self, region: str) -> Iterator[Board]:
        """The region's board, read for as long as there is a tab. Raises TooManyConnections:
        each region that is looked at is read anew every second, and a key may name any."""
        if region not in self._boards and len(self._boards) >= REGIONS_MAX:
            raise TooManyConnections(
                f"The consoles of {REGIONS_MAX} regions are open, as many as may be; close those "
                "of another region."
            )
        if not self._tabs[region]:
            self._boards[region] = Board(region, self._topics, self._clock)
        self._tabs[region] += 1
        if self._listening is None and self._log is not None:
            self._listening = of_its_own(self._listen(self._log))
        try:
            yield self._boards[region]
        finally:
            self._tabs[region] -= 1
            if not self._tabs[region]:
                del self._tabs[region]
                self._boards.pop(region).close()
            if not self._tabs and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    async def stream(
        self, region: str, board: Board, after: int | None, refused: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """Server-sent events without end, but for those refused. board is the region's; after is
        the id of the last event that the tab has, and None begins with the next one."""
        names = [topic.name for topic in self._topics if topic.name not in refused]
        newest = self._log.newest_id if self._log is not None else 0
        # An id beyond the newest is of a data folder that is no more.
        place = _Place(newest if after is None else min(after, newest))
        hello = {**self._about, "Region": region, "NewestId": newest, "Denied": dict(refused)}
        yield OPENING + message("hello", json.dumps(hello).encode())
        while True:
            rings = board.bell.rings
            events = b"" if EVENTS in refused else await self._events(region, place)
            if chunk := events + board.news(names, place.versions):
                yield chunk
            elif not await board.bell.heard(rings, self._heartbeat_s):
                yield HEARTBEAT

    async def _events(self, region: str, place: _Place) -> bytes:
        """The next events behind the place, which moves behind them."""
        if self._log is None or place.event_id >= (newest := self._log.newest_id):
            return b""
        try:
            events = await self._log.read(place.event_id, _EVENTS_PER_READ, region=region)
        except (StoreUnavailable, StoreDamaged) as error:
            is_new, place.trouble = place.trouble != str(error), str(error)
            return trouble(EVENTS, str(error)) if is_new else b""
        place.trouble = ""
        last = events[-1].id if events else newest
        # Fewer than asked for: what else is below the newest is of other regions.
        place.event_id = last if len(events) == _EVENTS_PER_READ else max(last, newest)
        return b"".join(
            message(EVENTS, json.dumps(event.members).encode(), number=event.id) for event in events
        )

    async def _listen(self, log: Log) -> None:
        """Wake the tabs for each event."""
        while True:
            newest = log.newest_id
            for board in self._boards.values():
                board.bell.ring()
            await log.wait_beyond(newest)
