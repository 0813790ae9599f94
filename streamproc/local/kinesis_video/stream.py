"""One video stream at run time: its numbers, the fragments that arrive, its archive.

Everyone who follows sees the fragments of all sessions as one sequence, ordered by number,
whether they are on disk or still arriving. Knows nothing of Matroska, HTTP or AWS shapes.
"""

import asyncio
import logging

from streamproc.clock import Clock
from streamproc.local.kinesis_video.archive import Archive
from streamproc.local.kinesis_video.connections import Connections
from streamproc.local.kinesis_video.index import Origin, StoredFragment
from streamproc.local.kinesis_video.live import LiveFragment, Pulse, State, began
from streamproc.local.kinesis_video.numbers import NumberSequence
from streamproc.local.kinesis_video.store import StreamGone, StreamInfo, StreamStore
from streamproc.settings import VideoConfig

log = logging.getLogger(__name__)


class VideoStream:
    """is_over becomes true when the stream is deleted or the service stops."""

    def __init__(
        self,
        info: StreamInfo,
        blocks: int,
        store: StreamStore,
        archive: Archive,
        config: VideoConfig,
        clock: Clock,
    ) -> None:
        self.info = info
        self.archive = archive
        self.pulse = Pulse()
        self.is_over = False
        self.producers = Connections("PutMedia", config.put_media_per_stream_max)
        self.followers = Connections("GetMedia", config.get_media_per_stream_max)
        self.changing = asyncio.Lock()  # one change of the control plane at a time
        self._numbers = NumberSequence(blocks)
        self._numbering = asyncio.Lock()
        self._live: dict[str, LiveFragment] = {}
        self._storing: set[asyncio.Task[bool]] = set()
        self._store = store
        self._clock = clock

    @property
    def last_number(self) -> str:
        """Every fragment that begins from now on has a greater number."""
        return self._numbers.last

    # --- producers ---------------------------------------------------------------------

    def start_session(self) -> None:
        self._numbers.start_session()

    async def begin(self, header: bytes, timecode: int, producer_ms: int) -> LiveFragment:
        """A fragment begins to arrive now. Raises StreamGone once the stream is over."""
        async with self._numbering:
            while self._numbers.wants_block:
                self._numbers.reserved(await self._store.reserve_block(self.info.id))
            if self.is_over:
                raise StreamGone(f"Stream {self.info.name} takes no more media.")
            server_ms = int(self._clock.now() * 1000)
            previous, number = self._numbers.last, self._numbers.next(server_ms)
            fragment = LiveFragment(number, header, timecode, server_ms, producer_ms, previous)
            self._live[number] = fragment
        return fragment

    def cut(self, fragment: LiveFragment) -> None:
        """It will never be whole."""
        fragment.state = State.CUT
        self._live.pop(fragment.number, None)
        self.pulse.beat()

    def finish(self, fragment: LiveFragment, length_ms: int) -> asyncio.Task[bool]:
        """It is whole. The task stores it, whatever becomes of its session; its result is
        True if the fragment is on disk for good, which needs a retention."""
        fragment.length_ms = length_ms
        fragment.state = State.WHOLE
        self.pulse.beat()
        task = asyncio.create_task(self._keep(fragment))
        self._storing.add(task)
        task.add_done_callback(self._stored)
        return task

    async def _keep(self, fragment: LiveFragment) -> bool:
        durable = self.info.retention_hours > 0
        try:
            fragment.stored = await self.archive.add(
                fragment.number,
                fragment.data,
                header=fragment.header,
                server_ms=fragment.server_ms,
                producer_ms=fragment.producer_ms,
                length_ms=fragment.length_ms,
                durable=durable,
            )
            fragment.data = bytearray()
        finally:
            self._live.pop(fragment.number, None)
            self.pulse.beat()
        return durable

    def _stored(self, task: asyncio.Task[bool]) -> None:
        self._storing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("stream %s: a fragment could not be kept: %s", self.info.name, error)

    # --- followers ---------------------------------------------------------------------

    async def after(self, number: str) -> LiveFragment | StoredFragment | None:
        """The first fragment behind a number, or None if it has not begun yet."""
        # Who follows at the end of the stream, as most do, needs nothing from the archive.
        if number >= self._numbers.last:
            return None
        for live in self._live.values():
            if live.previous == number:
                return live
        behind = (live for live in self._live.values() if live.number > number)
        # First the live ones: what moves to disk while we look there is then seen twice, not
        # missed.
        first = min(behind, key=lambda fragment: fragment.number, default=None)
        stored = await self.archive.after(number)
        if stored is None or (first is not None and first.number < stored.number):
            return first
        return stored

    def receiving(self) -> LiveFragment | None:
        """The fragment that began last of those that are arriving now."""
        arriving = (live for live in self._live.values() if live.state is State.RECEIVING)
        return max(arriving, key=lambda fragment: fragment.number, default=None)

    async def at(self, origin: Origin, instant_ms: int) -> LiveFragment | StoredFragment | None:
        """The fragment that holds an instant, else the one that began first behind it."""
        live = list(self._live.values())
        found: list[LiveFragment | StoredFragment] = [
            fragment for fragment in live if fragment.holds(origin, instant_ms)
        ]
        before = await self.archive.begun_by(origin, instant_ms)
        if before is not None and instant_ms < began(before, origin) + max(before.length_ms, 1):
            found.append(before)
        if found:
            return max(found, key=lambda fragment: began(fragment, origin))
        later: list[LiveFragment | StoredFragment] = [
            fragment for fragment in live if began(fragment, origin) > instant_ms
        ]
        stored = await self.archive.begun_after(origin, instant_ms)
        if stored is not None:
            later.append(stored)
        return min(later, key=lambda fragment: began(fragment, origin), default=None)

    # --- the end -----------------------------------------------------------------------

    def end(self) -> None:
        """Let followers and producers go."""
        self.is_over = True
        self.pulse.beat()

    async def settle(self) -> None:
        """Return once every whole fragment is stored, or has failed to be."""
        while self._storing:
            await asyncio.wait(self._storing)
