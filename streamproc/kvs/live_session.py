"""One PutMedia session of live packets: its body, what the stream has confirmed of it, and how
long it may say nothing.

Knows which Cluster holds which packets of the backlog. Knows nothing of HTTP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from streamproc.clock import Clock
from streamproc.kvs.acks import PutMediaError
from streamproc.kvs.backlog import Backlog, PlacedPacket
from streamproc.kvs.remux import SESSION_S_MAX, ClusterMuxer
from streamproc.mkv.writer import MkvWriter

ANSWER_TIMEOUT_S = 30.0
"""A fragment lasts 20 s at most, and is acknowledged within moments of its last byte."""

_LOOK_S = 1.0
_STEP_BACK_MS = 2_000  # more than B-frames reach back


class LiveSession:
    """Takes from the backlog until it pauses, or a packet needs a document of its own."""

    def __init__(self, backlog: Backlog, *, session_s_max: float = SESSION_S_MAX) -> None:
        self._backlog = backlog
        self._session_ms_max = round(session_s_max * 1000)
        self._clusters: deque[tuple[int, int]] = deque()  # timecode, number of the first packet
        self._next_number = 0
        self.answers_total = 0
        self.is_answered = False  # whether nothing was sent since the last answer

    async def body(self) -> AsyncIterator[bytes]:
        """One Matroska document."""
        first = await self._backlog.take()
        if first is None:
            return
        track, begin_ms = first.packet.track, round(first.at_s * 1000)
        head, muxer, reached_ms = MkvWriter().header([track]), ClusterMuxer(), begin_ms
        placed: PlacedPacket | None = first
        while placed is not None:
            packet, at_ms = placed.packet, round(placed.at_s * 1000)
            is_long = packet.keyframe and at_ms - begin_ms >= self._session_ms_max
            if packet.track != track or at_ms < reached_ms - _STEP_BACK_MS or is_long:
                self._backlog.give_back()
                return
            reached_ms = max(reached_ms, at_ms)
            timecode, data = muxer.mux(packet, at_ms, reached_ms)
            if timecode is not None:
                self._clusters.append((timecode, placed.number))
            self._next_number = placed.number + 1
            self.is_answered = False
            yield head + data
            head = b""
            placed = await self._backlog.take()

    def answered(self) -> None:
        """The stream has taken a fragment, which one is no matter."""
        self.answers_total += 1
        self.is_answered = True

    def confirmed(self, timecode: int) -> None:
        """The stream has the fragment of this timecode, so it has what came before, too."""
        while len(self._clusters) > 1 and self._clusters[0][0] <= timecode:
            self._clusters.popleft()
            self._backlog.confirm(self._clusters[0][1])

    def succeeded(self) -> None:
        """The stream has everything that was sent."""
        self._backlog.confirm(self._next_number)


async def while_it_answers(
    putting: Coroutine[Any, Any, None], session: LiveSession, clock: Clock
) -> None:
    """Await PutMedia's end. Raises what it raises, and PutMediaError if the stream takes no
    fragment for ANSWER_TIMEOUT_S while it is sent some."""
    sending = asyncio.create_task(putting)
    silence = asyncio.create_task(_silence(session, clock))
    try:
        await asyncio.wait((sending, silence), return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            raise PutMediaError(
                f"Kinesis Video has acknowledged nothing for {ANSWER_TIMEOUT_S:.0f} s",
                code="Timeout",
            )
        sending.result()
    finally:
        sending.cancel()
        silence.cancel()
        await asyncio.gather(sending, silence, return_exceptions=True)


async def _silence(session: LiveSession, clock: Clock) -> None:
    """Return once something was sent, and nothing answered, for ANSWER_TIMEOUT_S."""
    answers, since_s = 0, clock.monotonic()
    while clock.monotonic() - since_s < ANSWER_TIMEOUT_S:
        await clock.sleep(_LOOK_S)
        if session.is_answered or session.answers_total != answers:
            answers, since_s = session.answers_total, clock.monotonic()
