"""From packets to what a producer sends: PutMedia bodies, and a file's as time goes by.

Knows what a fragment of a Kinesis video stream has to be; nothing is transcoded. Knows
nothing of HTTP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from streamproc.aio import Worker
from streamproc.clock import Clock
from streamproc.errors import MediaError
from streamproc.kvs.acks import Ack
from streamproc.kvs.coded import CodedPacket
from streamproc.kvs.recording import Footage
from streamproc.mkv.writer import MkvWriter
from streamproc.model.media import Track

FRAGMENT_MS_MIN = 1_000
"""Kinesis Video takes at most 5 fragments a second and advises 1 s or more."""

FRAGMENT_MS_MAX = 10_000
"""Beyond this a fragment is cut between keyframes; the service refuses more than 20 s."""

SESSION_S_MAX = 40 * 60
"""The service ends a PutMedia after 45 minutes; Amazon's own producer begins anew after 40."""


UNCONFIRMED_BYTES_MAX = 32 * 1024 * 1024
"""Of a file, so much is kept at most until the stream has acknowledged it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One packet as it travels in a PutMedia body."""

    track: Track  # one of another track than the chunk before begins another document
    due_s: float  # media time since the first packet
    cluster_ms: int  # timecode of its Cluster
    opens_fragment: bool
    data: bytes = field(repr=False)


class ClusterMuxer:
    """Packets of one document as blocks, and where a new Cluster has to begin.

    Every Cluster opens on a keyframe and lasts 1 s or more, unless keyframes are over 10 s apart.
    """

    def __init__(self) -> None:
        self._writer = MkvWriter()
        self._cluster_ms: int | None = None

    def mux(self, packet: CodedPacket, at_ms: int, reached_ms: int) -> tuple[int | None, bytes]:
        """The packet's bytes, and the timecode of the Cluster that it opens, if it does.

        at_ms is its presentation time, reached_ms the latest one so far, with its own.
        """
        opens = self._cluster_ms is None or _opens_cluster(
            packet.keyframe, at_ms - self._cluster_ms, is_latest=at_ms >= reached_ms
        )
        if opens:
            self._cluster_ms = at_ms
        assert self._cluster_ms is not None
        head = self._writer.cluster(at_ms) if opens else b""
        block = self._writer.block(1, at_ms - self._cluster_ms, packet.keyframe, packet.payload)
        return (at_ms if opens else None), head + block


def remux(footage: Footage, start_timestamp: float, *, loop: bool = False) -> Iterator[Chunk]:
    """The footage as Clusters with absolute timecodes, without the documents' headers.

    start_timestamp is the wall-clock time of the first picture, in seconds. B-frames stay in
    decode order, so a packet is due once every picture up to its own could have been seen.
    With loop it never ends. Raises MediaError if there is no packet.
    """
    timeline = _Timeline()
    start_ms = round(start_timestamp * 1000)
    muxer, track, opened_ms = ClusterMuxer(), None, start_ms
    for packet in _repeated(footage, loop=loop):
        if packet.track != track:
            muxer, track = ClusterMuxer(), packet.track  # a document of its own
        at_ms = round(timeline.place(packet) * 1000)
        due_s = timeline.reached_s
        cluster_ms, data = muxer.mux(packet, start_ms + at_ms, start_ms + round(due_s * 1000))
        opened_ms = cluster_ms if cluster_ms is not None else opened_ms
        yield Chunk(packet.track, due_s, opened_ms, cluster_ms is not None, data)


class Broadcast:
    """Footage on its way to a stream, in as many PutMedia sessions as that takes.

        while not broadcast.is_over:
            await put_media(endpoint_url, stream, broadcast.session(), on_ack=broadcast.on_ack)

    What was not acknowledged when a session broke is sent again after rewind().

    fast sends without waiting for the time to come. progress is told the media time, in seconds,
    that has been sent. Footage that turns out damaged ends early; its damage says so.
    """

    def __init__(
        self,
        footage: Footage,
        clock: Clock,
        *,
        fast: bool = False,
        loop: bool = False,
        progress: Callable[[float], None] | None = None,
        session_s_max: float = SESSION_S_MAX,
    ) -> None:
        """Raises MediaError if the footage holds no packet."""
        self._chunks = remux(footage, clock.now(), loop=loop)
        self._next = next(self._chunks, None)
        # Coding a picture takes long enough for others to miss their turn.
        self._worker = Worker("transcoding") if footage.transcoding else None
        self._clock = clock
        self._fast = fast
        self._progress = progress
        self._session_s_max = session_s_max
        self._started = clock.monotonic()
        self._is_stopped = False
        self._unconfirmed: deque[Chunk] = deque()
        self._unconfirmed_bytes = 0
        self._again: deque[Chunk] = deque()
        self._coming: asyncio.Future[Chunk | None] | None = None

    @property
    def is_over(self) -> bool:
        return self._next is None or self._is_stopped

    def stop(self) -> None:
        """End the running session behind the packet that is due next."""
        self._is_stopped = True

    async def session(self) -> AsyncIterator[bytes]:
        """The body of the next PutMedia: one Matroska document, each packet when it is due.

        It ends where the next packet needs a document of its own.
        """
        first = self._next
        if first is None:
            return
        head = MkvWriter().header([first.track])
        while (chunk := self._next) is not None and chunk.track == first.track:
            length_s = chunk.due_s - first.due_s
            if chunk.opens_fragment and length_s >= self._session_s_max:
                return
            wait_s = 0.0 if self._fast else self._started + chunk.due_s - self._clock.monotonic()
            # Even if nothing is to be waited for, acknowledgements want their turn.
            await self._clock.sleep(max(0.0, wait_s))
            following = await self._following()
            self._next = following
            self._keep(chunk)
            yield head + chunk.data
            head = b""
            if self._progress is not None:
                self._progress(chunk.due_s)
            if self._is_stopped:
                return

    def on_ack(self, ack: Ack) -> None:
        """What the stream has need not be kept."""
        if ack.event_type in {"RECEIVED", "PERSISTED"} and ack.timecode is not None:
            while self._unconfirmed and self._unconfirmed[0].cluster_ms <= ack.timecode:
                self._forget()

    def rewind(self) -> None:
        """The session broke: the next one begins with the first fragment not acknowledged."""
        while self._unconfirmed and not self._unconfirmed[0].opens_fragment:
            self._forget()  # too much was unconfirmed to keep all of it
        waiting = [*self._unconfirmed, *([self._next] if self._next is not None else [])]
        self._again.extendleft(reversed(waiting))
        self._unconfirmed.clear()
        self._unconfirmed_bytes = 0
        self._next = self._again.popleft() if self._again else None

    def _keep(self, chunk: Chunk) -> None:
        self._unconfirmed.append(chunk)
        self._unconfirmed_bytes += len(chunk.data)
        while self._unconfirmed_bytes > UNCONFIRMED_BYTES_MAX:
            self._forget()

    def _forget(self) -> None:
        self._unconfirmed_bytes -= len(self._unconfirmed.popleft().data)

    async def _following(self) -> Chunk | None:
        if self._again:
            return self._again.popleft()
        if self._worker is None:
            return next(self._chunks, None)
        # A session that breaks meanwhile must not lose what the thread is about to bring.
        if self._coming is None:
            self._coming = asyncio.ensure_future(
                self._worker.run(partial(next, self._chunks, None))
            )
        chunk: Chunk | None = await asyncio.shield(self._coming)
        self._coming = None
        return chunk


class _Timeline:
    """Media time from 0 on that never starts again, whatever the file's own clock does."""

    def __init__(self) -> None:
        self.reached_s = 0.0  # latest picture so far
        self._end_s = 0.0
        self._shift_s: float | None = None

    def place(self, packet: CodedPacket) -> float:
        """Seconds since the first packet. Steps back between B-frames, below 0 even."""
        if self._shift_s is None or (
            # Only a clock that was set, or a new round of a loop, takes a keyframe back.
            packet.keyframe and packet.pts_s + self._shift_s <= self.reached_s
        ):
            self._shift_s = self._end_s - packet.pts_s
        at_s = packet.pts_s + self._shift_s
        self.reached_s = max(self.reached_s, at_s)
        self._end_s = max(self._end_s, at_s + packet.duration_s)
        return at_s


def _repeated(footage: Footage, *, loop: bool) -> Iterator[CodedPacket]:
    packet = None
    for packet in footage.packets():
        yield packet
    if packet is None:
        raise MediaError(footage.damage or f"{footage.name} holds no keyframe")
    while loop and not footage.damage:
        yield from footage.packets()


def _opens_cluster(is_keyframe: bool, length_ms: int, *, is_latest: bool) -> bool:
    if is_keyframe:
        return length_ms >= FRAGMENT_MS_MIN
    # Between keyframes only in front of a picture that none so far is shown after.
    return length_ms >= FRAGMENT_MS_MAX and is_latest
