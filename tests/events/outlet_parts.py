"""A real event log with somebody who appends to it, for tests of outlets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from streamproc.clock import Clock, SystemClock
from streamproc.events.log import EventLog
from streamproc.events.schema import Draft, OpenVisit, Standing
from streamproc.model.event import Event, EventKind

DOOR = ("us-east-1", "door")
PATIENCE_S = 60.0


async def until(condition: Callable[[], Any], explain: Callable[[], Any] = str) -> None:
    """Return when it is true; the timeout is a failure, never a pass."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 (no one event tells)
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_S} s: {explain()}") from None


class Diary:
    """Writes events as the event service does."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._visits: dict[tuple[str, str], dict[str, OpenVisit]] = {}

    async def enter(self, visit_id: str, name: str, key: tuple[str, str] = DOOR) -> Event:
        visit = OpenVisit(visit_id, 1.0, self._body(visit_id, name), {})
        self._visits.setdefault(key, {})[visit_id] = visit
        return await self._append(EventKind.ENTER, key, visit.body)

    async def leave(self, visit_id: str, key: tuple[str, str] = DOOR) -> Event:
        visit = self._visits[key].pop(visit_id)
        return await self._append(EventKind.EXIT, key, {**visit.body, "Reason": "left"})

    async def state(self, status: str, key: tuple[str, str] = DOOR) -> Event:
        return await self._append(EventKind.STATE, key, {"Status": status, "StatusMessage": ""})

    async def visits(self, count: int, key: tuple[str, str] = DOOR) -> list[Event]:
        """So many people come and go, one after the other."""
        events = []
        for _ in range(count):
            number = self.log.newest_id
            events.append(await self.enter(f"visit-{number}", f"person-{number}", key))
            events.append(await self.leave(f"visit-{number}", key))
        return events

    async def _append(self, kind: EventKind, key: tuple[str, str], body: Any) -> Event:
        standing = Standing(key, 1.0, 0, tuple(self._visits.get(key, {}).values()))
        (event,) = await self.log.append([Draft(kind, *key, 1.0, body)], standing)
        return event

    @staticmethod
    def _body(visit_id: str, name: str) -> dict[str, Any]:
        person = {"Name": name, "Known": not name.startswith("unknown")}
        return {"VisitId": visit_id, "Person": person, "FirstSeen": "2023-11-14T22:13:20.000Z"}


@asynccontextmanager
async def opened_diary(
    folder: Path, clock: Clock | None = None, kept: int = 10_000
) -> AsyncIterator[Diary]:
    log = await EventLog.open(
        folder / "events.db", clock or SystemClock(), kept_s=1e9, kept_max=kept
    )
    try:
        yield Diary(log)
    finally:
        await log.aclose()
