"""A fragment while it arrives, and the signal that there is more of it.

One buffer per fragment, shared by everyone who follows: a slow reader has no queue of its own
and goes on from disk once the fragment is there. Knows neither Matroska nor AWS.
"""

import asyncio
from enum import Enum, auto

from streamproc.local.kinesis_video.index import Origin, StoredFragment


class State(Enum):
    RECEIVING = auto()
    WHOLE = auto()
    CUT = auto()  # it will never be whole; nobody keeps it


class LiveFragment:
    """From the first byte until it is on disk. Timestamps are milliseconds since the epoch."""

    def __init__(
        self,
        number: str,
        header: bytes,
        timecode: int,
        server_ms: int,
        producer_ms: int,
        previous: str,
    ) -> None:
        self.number = number
        self.previous = previous  # the last number before: no fragment is between them
        self.header = header
        self.timecode = timecode  # as the producer counts
        self.server_ms = server_ms
        self.producer_ms = producer_ms
        self.length_ms = 0  # known when it is whole
        self.state = State.RECEIVING
        self.data = bytearray()  # empty again once stored is set
        self.stored: StoredFragment | None = None

    def holds(self, origin: Origin, instant_ms: int) -> bool:
        """True if the instant lies in it; while it arrives it may still grow to any length."""
        start_ms = began(self, origin)
        if self.state is State.RECEIVING:
            return start_ms <= instant_ms
        return start_ms <= instant_ms < start_ms + max(self.length_ms, 1)


def began(fragment: LiveFragment | StoredFragment, origin: Origin) -> int:
    return fragment.server_ms if origin is Origin.SERVER else fragment.producer_ms


class Pulse:
    """Wakes everybody who waits. Take the count of beats before looking, wait behind it after:
    what happened in between is not missed."""

    def __init__(self) -> None:
        self.beats = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def beat(self) -> None:
        self.beats += 1
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def behind(self, beats: int) -> None:
        """Return once there have been more beats than so many."""
        if self.beats == beats:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:  # who gives up on a stream that is silent leaves nothing behind
                self._waiting.discard(waiter)
