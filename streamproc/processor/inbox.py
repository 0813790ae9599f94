"""Media events, received ahead of the decoder on a task of their own.

So the network is read while a frame is decoded, and the source's generator lives in one task
from its start to its end. Bounded: a slow decoder holds the source back, nothing is dropped.
"""

import asyncio
from contextlib import aclosing
from typing import Self

from streamproc.model.media import MediaEvent
from streamproc.model.position import StartPosition
from streamproc.processor.ports import MediaSource

EVENTS_QUEUED_MAX = 32
"""No more memory than a few packets, and still enough to receive while decoding."""


class Inbox:
    """A source's events in order, from a position on. Receives while its block lasts."""

    def __init__(self, source: MediaSource, position: StartPosition) -> None:
        self._source = source
        self._position = position
        self._events: asyncio.Queue[MediaEvent | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(EVENTS_QUEUED_MAX)

    async def __aenter__(self) -> Self:
        self._receiver = asyncio.create_task(self._receive())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._receiver.cancel()
        # An error that nobody came to get() is of no interest any more.
        await asyncio.gather(self._receiver, return_exceptions=True)

    async def get(self) -> MediaEvent | None:
        """The next event, or None behind the last one. Raises what the source raised, after
        everything that it had delivered before."""
        event = await self._events.get()
        if event is None:
            await self._receiver
        self._room.release()
        return event

    async def _receive(self) -> None:
        try:
            async with aclosing(self._source.events(self._position)) as events:
                async for event in events:
                    await self._room.acquire()
                    self._events.put_nowait(event)
        finally:
            self._events.put_nowait(None)
