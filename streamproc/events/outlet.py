"""Hands the event log on to somebody outside, one event after the other, until each is taken.

An outlet reads the log from its cursor, and moves the cursor only when the other side has said
yes: what happens while that is away waits on disk. A daemon that is killed between the yes and
its own note of it tells that one event twice, with the same Id. Knows nothing of MQTT or HTTP;
those are targets (ports.py).
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StoreUnavailable, StreamprocError
from streamproc.events.ports import CursoredLog, NotTaken, Refused, Session, Target
from streamproc.model.event import Event

log = logging.getLogger(__name__)

BACKOFF_S_MAX: Final = 20.0
SLOW_S: Final = 60.0
"""Between two attempts where only a person can help, up to twice that."""

_READ_MAX = 100
_STOP_S = 5.0
"""How long a stop waits for an answer, which may be a yes."""
_STEADY_S = 60.0
"""Who has been connected for this long begins anew with short pauses."""
_TOLD_EVERY_S = 300.0
"""Between two lines in the log about what was passed over."""


@dataclass(frozen=True, slots=True)
class OutletView:
    """An outlet as it stood when it was asked for."""

    name: str
    kind: str  # mqtt or webhook
    connected: bool
    message: str  # what is wrong, in a person's words; "" when nothing is
    waiting: int  # events in the log that it has not come to
    delivered_total: int
    passed_over_total: int  # too many were waiting, or they were refused for good
    failures_total: int


class Outlet:
    """One target and its place in the log. start() it, aclose() it."""

    def __init__(
        self,
        name: str,
        target: Target,
        events: CursoredLog,
        clock: Clock,
        *,
        waiting_max: int,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._target = target
        self._events = events
        self._clock = clock
        self._waiting_max = waiting_max
        self._roll = roll
        self._beginning = events.newest_id  # of one that is new: what is past is not news
        self._cursor: int | None = None  # unknown until the log was asked
        self._noted: int | None = None  # the same, as it is on disk
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        self._connected = not target.connects  # until the first delivery tells
        self._message = ""
        self._delivered_total = self._passed_over_total = self._failures_total = 0
        self._told_passed_over = 0  # how many of them the log has heard of
        self._told_at = -_TOLD_EVERY_S

    def view(self) -> OutletView:
        return OutletView(
            name=self.name,
            kind=self._target.kind,
            connected=self._connected,
            message=self._message,
            waiting=self._waiting,
            delivered_total=self._delivered_total,
            passed_over_total=self._passed_over_total,
            failures_total=self._failures_total,
        )

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"outlet {self.name}")

    async def aclose(self) -> None:
        """What is being said is said to its end, if that is soon; the rest waits on disk."""
        self._is_closing = True
        while self._task is not None and not self._task.done():
            self._task.cancel()
            # Again if it was lost in a library, as wait_for() of Python 3.11 loses some.
            await asyncio.wait({self._task}, timeout=_STOP_S * 3)

    async def _run(self) -> None:
        attempt = 0
        while True:
            since, delivered = self._clock.monotonic(), self._delivered_total
            is_slow = is_unnoted = False
            try:
                await self._find_place()
                await self._session()
            except* StreamprocError as group:
                is_slow = self._failed(group)
                is_unnoted = group.subgroup(StoreUnavailable) is not None
            except* Exception as group:  # its own alone: no other outlet, and no processor
                self._failed(group)
                log.exception("outlet %s failed, trying again", self.name)
            if self._is_closing:
                return  # a task group that fails while it is cancelled tells of the failure alone
            _forgive_task_group()
            self._connected = False
            has_delivered = delivered != self._delivered_total and not is_unnoted
            if has_delivered or self._clock.monotonic() - since > _STEADY_S:
                attempt = 0
            await self._clock.sleep(
                SLOW_S * (1 + self._roll())
                if is_slow
                else backoff_seconds(attempt, base_s=0.5, cap_s=BACKOFF_S_MAX, roll=self._roll)
            )
            attempt += 1

    async def _find_place(self) -> None:
        """Where it was; and while it is away it lags no further behind than it may."""
        if self._cursor is None:
            place = await self._events.cursor(self.name)
            self._noted = place
            await self._move(self._beginning if place is None else place)
        assert self._cursor is not None
        surplus = self._waiting - self._waiting_max
        if surplus > 0:
            self._passed_over(surplus, f"more than {self._waiting_max} were waiting")
            await self._move(self._cursor + surplus)

    async def _session(self) -> None:
        async with self._target.open() as session, asyncio.TaskGroup() as both:
            if self._target.connects:
                self._reached()
            both.create_task(session.attend())
            both.create_task(self._hand_on(session))

    async def _hand_on(self, session: Session) -> None:
        while True:
            await self._find_place()
            assert self._cursor is not None
            newest_id = self._events.newest_id
            batch = await self._events.read(self._cursor, _READ_MAX)
            for event in batch:
                self._skip_to(event.id - 1)
                if self._target.wants(event):
                    await self._to_its_end(session, event)
                self._cursor = event.id
            if not batch:
                self._skip_to(newest_id)
            if not batch or not self._target.wants(batch[-1]):
                await self._move(self._cursor)  # nobody's yes, so noted once for all of them
            await self._events.wait_beyond(self._cursor)

    def _skip_to(self, event_id: int) -> None:
        """Ids have no gaps: what cannot be read was kept no longer."""
        assert self._cursor is not None
        if (missing := event_id - self._cursor) > 0:
            self._cursor = event_id
            self._passed_over(missing, "they were older than events.kept_days or kept_max allow")

    async def _to_its_end(self, session: Session, event: Event) -> None:
        """Deliver, and note it; what is acknowledged is noted though the session ends in that
        moment, and when the outlet is closed in the middle, both are still done."""
        answered = asyncio.Event()
        step = asyncio.create_task(self._deliver(session, event, answered))
        try:
            await asyncio.shield(step)
        except asyncio.CancelledError:
            if self._is_closing or answered.is_set():
                await asyncio.wait({step}, timeout=_STOP_S)
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            raise

    async def _deliver(self, session: Session, event: Event, answered: asyncio.Event) -> None:
        try:
            await session.deliver(event)
        except Refused as error:
            self._failures_total += 1
            self._message = str(error)
            self._passed_over(1, str(error))
        else:
            self._delivered_total += 1
            self._reached()
        answered.set()
        await self._move(event.id)

    async def _move(self, place: int) -> None:
        self._cursor = place  # though the disk does not take it: nothing is told twice for that
        if place != self._noted:
            await self._events.move(self.name, place)
            self._noted = place

    @property
    def _waiting(self) -> int:
        return 0 if self._cursor is None else max(0, self._events.newest_id - self._cursor)

    def _reached(self) -> None:
        if self._message:
            log.info("outlet %s: well again, %d events waiting", self.name, self._waiting)
        self._connected, self._message = True, ""

    def _failed(self, group: BaseExceptionGroup[Exception]) -> bool:
        """Tell why, once for each reason; whether only a person can help."""
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._failures_total += 1
        reason = str(error) if isinstance(error, StreamprocError) else type(error).__name__
        if reason != self._message:
            log.warning("outlet %s, trying again: %s", self.name, reason)
        self._message = reason
        return isinstance(error, NotTaken) and error.is_slow

    def _passed_over(self, count: int, why: str) -> None:
        self._passed_over_total += count
        now = self._clock.monotonic()
        if now - self._told_at >= _TOLD_EVERY_S:
            fresh = self._passed_over_total - self._told_passed_over
            log.warning("outlet %s: %d events passed over: %s", self.name, fresh, why)
            self._told_at, self._told_passed_over = now, self._passed_over_total


def _forgive_task_group() -> None:
    """A task group that fails cancels the task it is in, and before Python 3.13 leaves that counted
    as if somebody had asked for it (python/cpython#117407)."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


class Outlets:
    """Every outlet of the daemon."""

    def __init__(self, outlets: Collection[Outlet]) -> None:
        self._outlets = outlets

    def start(self) -> None:
        for outlet in self._outlets:
            outlet.start()

    def views(self) -> Sequence[OutletView]:
        return [outlet.view() for outlet in self._outlets]

    async def aclose(self) -> None:
        await asyncio.gather(*(outlet.aclose() for outlet in self._outlets))
