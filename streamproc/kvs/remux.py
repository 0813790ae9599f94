"""From a file to what a producer sends: a PutMedia body, packet by packet, as time goes by.

Knows what a fragment of a Kinesis video stream has to be; nothing is transcoded. Knows
nothing of HTTP.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from streamproc.clock import Clock
from streamproc.errors import MediaError
from streamproc.kvs.recording import CodedPacket, Recording
from streamproc.mkv.writer import MkvWriter

FRAGMENT_MS_MIN = 1_000
"""Kinesis Video takes at most 5 fragments a second and advises 1 s or more."""

FRAGMENT_MS_MAX = 10_000
"""Beyond this a fragment is cut between keyframes; the service refuses more than 20 s."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a PutMedia body, and when they are due."""

    due_s: float  # media time since the first packet
    data: bytes = field(repr=False)


def remux(recording: Recording, start_timestamp: float, *, loop: bool = False) -> Iterator[Chunk]:
    """The recording as one Matroska document with absolute timecodes.

    start_timestamp is the wall-clock time of the first picture, in seconds. Every Cluster opens
    on a keyframe and lasts 1 s or more, unless keyframes are over 10 s apart. A chunk is one
    packet. B-frames stay in decode order, so a packet is due once every picture up to its own
    could have been seen. With loop it never ends. Raises MediaError if there is no packet.
    """
    writer = MkvWriter()
    head = writer.header([recording.track])
    timeline = _Timeline()
    start_ms = round(start_timestamp * 1000)
    cluster_ms: int | None = None
    for packet in _repeated(recording, loop=loop):
        at_ms = round(timeline.place(packet) * 1000)
        due_s = timeline.reached_s
        if cluster_ms is None or _opens_cluster(packet, at_ms, due_s, cluster_ms):
            cluster_ms = at_ms
            head += writer.cluster(start_ms + cluster_ms)
        yield Chunk(
            due_s, head + writer.block(1, at_ms - cluster_ms, packet.keyframe, packet.payload)
        )
        head = b""


async def paced(
    chunks: Iterable[Chunk],
    clock: Clock,
    *,
    fast: bool = False,
    progress: Callable[[float], None] | None = None,
) -> AsyncIterator[bytes]:
    """The chunks' bytes, each as soon as it is due; or at once if fast.

    progress is told the media time in seconds that has been sent.
    """
    started = clock.monotonic()
    for chunk in chunks:
        wait_s = 0.0 if fast else started + chunk.due_s - clock.monotonic()
        # Even if nothing is to be waited for, acknowledgements want their turn.
        await clock.sleep(max(0.0, wait_s))
        yield chunk.data
        if progress is not None:
            progress(chunk.due_s)


class _Timeline:
    """Media time from 0 on that never starts again, whatever the file's own clock does."""

    def __init__(self) -> None:
        self.reached_s = 0.0  # latest picture so far
        self._end_s = 0.0
        self._shift_s: float | None = None

    def place(self, packet: CodedPacket) -> float:
        """Seconds since the first packet. Steps back between B-frames, may begin below 0."""
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
