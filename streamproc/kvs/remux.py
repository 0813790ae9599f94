"""From a file to what a producer sends: PutMedia bodies, packet by packet, as time goes by.

Knows what a fragment of a Kinesis video stream has to be; nothing is transcoded. Knows
nothing of HTTP.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from streamproc.clock import Clock
from streamproc.errors import MediaError
from streamproc.kvs.recording import CodedPacket, Recording
from streamproc.mkv.writer import MkvWriter

FRAGMENT_MS_MIN = 1_000
"""Kinesis Video takes at most 5 fragments a second and advises 1 s or more."""

FRAGMENT_MS_MAX = 10_000
"""Beyond this a fragment is cut between keyframes; the service refuses more than 20 s."""

SESSION_S_MAX = 40 * 60
"""The service ends a PutMedia after 45 minutes; Amazon's own producer begins anew after 40."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One packet as it travels in a PutMedia body."""

    due_s: float  # media time since the first packet
    opens_fragment: bool
    data: bytes = field(repr=False)


def remux(recording: Recording, start_timestamp: float, *, loop: bool = False) -> Iterator[Chunk]:
    """The recording as Clusters with absolute timecodes, without the document's header.

    start_timestamp is the wall-clock time of the first picture, in seconds. Every Cluster opens
    on a keyframe and lasts 1 s or more, unless keyframes are over 10 s apart. B-frames stay in
    decode order, so a packet is due once every picture up to its own could have been seen.
    With loop it never ends. Raises MediaError if there is no packet.
    """
    writer = MkvWriter()
    timeline = _Timeline()
    start_ms = round(start_timestamp * 1000)
    cluster_ms: int | None = None
    for packet in _repeated(recording, loop=loop):
        at_ms = round(timeline.place(packet) * 1000)
        due_s = timeline.reached_s
        head = b""
        if cluster_ms is None or _opens_cluster(packet, at_ms, due_s, cluster_ms):
            cluster_ms = at_ms
            head = writer.cluster(start_ms + cluster_ms)
        block = writer.block(1, at_ms - cluster_ms, packet.keyframe, packet.payload)
        yield Chunk(due_s, bool(head), head + block)


class Broadcast:
    """A recording on its way to a stream, in as many PutMedia sessions as that takes.

        while not broadcast.is_over:
            await put_media(endpoint_url, stream, broadcast.session(), ...)

    fast sends without waiting for the time to come. progress is told the media time, in seconds,
    that has been sent. A recording that turns out damaged ends early; its damage says so.
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        *,
        fast: bool = False,
        loop: bool = False,
        progress: Callable[[float], None] | None = None,
        session_s_max: float = SESSION_S_MAX,
    ) -> None:
        """Raises MediaError if the recording holds no packet."""
        self._header = MkvWriter().header([recording.track])
        self._chunks = remux(recording, clock.now(), loop=loop)
        self._next = next(self._chunks, None)
        self._clock = clock
        self._fast = fast
        self._progress = progress
        self._session_s_max = session_s_max
        self._started = clock.monotonic()

    @property
    def is_over(self) -> bool:
        return self._next is None

    def stop(self) -> None:
        """End the running session behind the packet that is due next."""
        self._next = None

    async def session(self) -> AsyncIterator[bytes]:
        """The body of the next PutMedia: one Matroska document, each packet when it is due."""
        head = self._header
        first = self._next
        while (chunk := self._next) is not None and first is not None:
            length_s = chunk.due_s - first.due_s
            if chunk.opens_fragment and length_s >= self._session_s_max:
                return
            wait_s = 0.0 if self._fast else self._started + chunk.due_s - self._clock.monotonic()
            # Even if nothing is to be waited for, acknowledgements want their turn.
            await self._clock.sleep(max(0.0, wait_s))
            yield head + chunk.data
            head = b""
            if self._progress is not None:
                self._progress(chunk.due_s)
            if not self.is_over:
                self._next = next(self._chunks, None)


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


def _repeated(recording: Recording, *, loop: bool) -> Iterator[CodedPacket]:
    packet = None
    for packet in recording.packets():
        yield packet
    if packet is None:
        raise MediaError(recording.damage or f"{recording.path} holds no keyframe")
    while loop and not recording.damage:
        yield from recording.packets()


def _opens_cluster(packet: CodedPacket, at_ms: int, due_s: float, cluster_ms: int) -> bool:
    length_ms = at_ms - cluster_ms
    if packet.keyframe:
        return length_ms >= FRAGMENT_MS_MIN
    # Between keyframes only in front of a picture that none so far is shown after.
    return length_ms >= FRAGMENT_MS_MAX and at_ms >= round(due_s * 1000)
