"""Tells topics that jobs have ended: every notice until it is accepted, then never again.

One notice at a time for each destination, so a topic that is slow or gone holds up its own
alone. What waits is on disk, in the outbox; a restart goes on with it. A daemon that is killed
between a topic's yes and its own note of it tells that one notice twice, and so does one that
has not heard the yes in time.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StreamprocError
from streamproc.jobs.outbox import Destination, Outbox
from streamproc.jobs.ports import Notice

log = logging.getLogger(__name__)

T = TypeVar("T")

_IN_FLIGHT_MAX = 16
"""Topics that are spoken to at once."""
_STOP_S = 5.0
"""How long a stop waits for an answer of a topic, which may be a yes."""
_BACKOFF_S_MAX = 60.0


class NoticeSender:
    """Works through the outbox while run() runs."""

    def __init__(
        self,
        outbox: Outbox,
        publish: Callable[[Notice], Awaitable[None]],
        clock: Clock,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._publish = publish
        self._clock = clock
        self._roll = roll
        self._changed = asyncio.Event()
        self._changed.set()
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT_MAX)
        self._lanes: dict[Destination, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """A job has ended; there may be something to tell."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled; then what is being said is said to its end, if that is soon."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._patiently("the outbox of notices", self._open_lanes)
        finally:
            for lane in self._lanes.values():
                lane.cancel()
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    async def _open_lanes(self) -> None:
        for destination in await self._outbox.destinations():
            if destination not in self._lanes:
                self._lanes[destination] = asyncio.create_task(self._lane(destination))

    async def _lane(self, destination: Destination) -> None:
        """Tell one topic everything that it has not heard, in order."""
        topic = f"topic {destination.topic_arn}"
        while await self._patiently(topic, partial(self._tell_next, destination)):
            pass
        del self._lanes[destination]
        # A notice that came since the last look found this lane still there.
        self._changed.set()

    async def _tell_next(self, destination: Destination) -> bool:
        """Whether there was something to tell."""
        waiting = await self._outbox.oldest(destination)
        if waiting is None:
            return False
        async with self._in_flight:
            telling = asyncio.create_task(self._tell(*waiting))
            try:
                await asyncio.shield(telling)
            except asyncio.CancelledError:
                await asyncio.wait([telling], timeout=_STOP_S)
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
                raise
        return True

    async def _tell(self, key: int, notice: Notice) -> None:
        await self._publish(notice)
        # Only this is tried again if the disk refuses it: the topic has the notice.
        await self._patiently("the outbox of notices", partial(self._outbox.accepted, key))

    async def _patiently(self, what: str, step: Callable[[], Awaitable[T]]) -> T:
        """Try a step until it goes well. Says why it does not, once for each reason."""
        reason = ""
        for attempt in itertools.count():
            try:
                return await step()
            except Exception as error:  # whatever it is, others must be told theirs
                if (str(error) or type(error).__name__) != reason:
                    reason = str(error) or type(error).__name__
                    trace = None if isinstance(error, StreamprocError) else error
                    log.warning("%s, trying again: %s", what, reason, exc_info=trace)
            pause_s = backoff_seconds(attempt, base_s=1.0, cap_s=_BACKOFF_S_MAX, roll=self._roll)
            await self._clock.sleep(pause_s)
        raise AssertionError("itertools.count ended")
