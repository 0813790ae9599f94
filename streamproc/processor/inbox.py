"""Media events, received ahead of the decoder on a task of their own.

So the network is read while a frame is decoded, and the source's generator lives in one task
from its start to its end. Bounded: a slow decoder holds the source back, nothing is dropped.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Self

from streamproc.model.media import MediaEvent
from streamproc.model.position import StartPosition
from streamproc.processor.ports import MediaSource

EVENTS_QUEUED_MAX = 32
"""No more memory than a few packets, and still enough to receive while decoding."""


class Inbox:
    """A source's events in order, from a position on. Receives while its block lasts.

    is_due is told each event once, in order, as it comes or, where nobody waited, when it is
    asked for: whether it and all before it are to be handed over.
    """

    def __init__(
        self, source: MediaSource, position: StartPosition, is_due: Callable[[MediaEvent], bool]
    ) -> None:
        self._source = source
        self._position = position
        self._is_due = is_due
        self._events: list[MediaEvent] = []
        self._told = 0  # of how many of them is_due knows
        self._due = 0  # how many of them are to be handed over
        self._is_over = False
        self._asked: asyncio.Future[None] | None = None  # somebody waits for what is due
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._receiver = asyncio.create_task(self._receive())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._receiver.cancel()
        # An error that nobody came to get() is of no interest any more.
        await asyncio.gather(self._receiver, return_exceptions=True)

    async def get(self) -> list[MediaEvent]:
        """What has come, up to the last event that is due: EVENTS_QUEUED_MAX at most, and
        nothing behind the end. Raises what the source raised, after everything that it had
        delivered before."""
        while not self._has_some():
            self._asked = asyncio.get_running_loop().create_future()
            try:
                await self._asked
            finally:
                self._asked = None
        count = self._due or self._told
        events = self._events[:count]
        del self._events[:count]
        self._told, self._due = self._told - count, 0
        self._room.set()
        if not events:
            await self._receiver
        return events

    def _has_some(self) -> bool:
        while self._told < len(self._events):
            self._told += 1
            if self._is_due(self._events[self._told - 1]) or self._told == EVENTS_QUEUED_MAX:
                self._due = self._told
        return self._due > 0 or self._is_over

    async def _receive(self) -> None:
        try:
            async with aclosing(self._source.events(self._position)) as events:
                async for event in events:
                    while len(self._events) == EVENTS_QUEUED_MAX:
                        self._room.clear()
                        await self._room.wait()
                    self._events.append(event)
                    self._tell()
        finally:
            self._is_over = True
            self._tell()

    def _tell(self) -> None:
        if self._asked is not None and not self._asked.done() and self._has_some():
            self._asked.set_result(None)
