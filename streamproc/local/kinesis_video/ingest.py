"""One PutMedia session: a producer's bytes become fragments, and every step is acknowledged.

Full duplex: the body is read by a task of its own while acknowledgements leave, so a fragment
is persisted and told so while the next one arrives. Knows nothing of HTTP.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from streamproc.aio import LatestQueue
from streamproc.clock import Clock
from streamproc.errors import MkvError, StoreDamaged, StoreUnavailable
from streamproc.gateway.errors import BodyCut
from streamproc.gateway.streams import pour
from streamproc.local.kinesis_video.acks import AckEvent, Refusal, Refused, encode_ack
from streamproc.local.kinesis_video.live import LiveFragment
from streamproc.local.kinesis_video.rules import FragmentRules
from streamproc.local.kinesis_video.store import StreamGone
from streamproc.local.kinesis_video.stream import VideoStream
from streamproc.mkv.splitter import (
    HELD_BYTES_MAX,
    BlockSeen,
    ClusterClosed,
    ClusterData,
    ClusterOpened,
    EndOfFragment,
    Header,
    Piece,
    ProducerSplitter,
    Trailing,
)
from streamproc.settings import MediaConfig, VideoConfig

log = logging.getLogger(__name__)

IDLE_ACK_S: Final = 5.0
IDLE_S_MAX: Final = 30.0
# A producer that reads no acknowledgement must neither stop us nor fill memory.
_ACKS_UNREAD_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """How the session's timecodes become producer timestamps."""

    start_ms: int  # added to every timecode; 0 where timecodes are absolute
    scale_ns: int = 1_000_000

    def producer_ms(self, timecode: int) -> int:
        return self.start_ms + timecode * self.scale_ns // 1_000_000


class ProducerSession:
    """start_ms is the producer's start, which timecodes are relative to."""

    def __init__(
        self,
        stream: VideoStream,
        body: AsyncIterator[bytes],
        *,
        start_ms: int,
        wants_acks: bool,
        config: VideoConfig,
        clock: Clock,
        media: MediaConfig = MediaConfig(),
    ) -> None:
        self._stream = stream
        self._body = body
        self._timing = Timing(start_ms)
        self._wants_acks = wants_acks
        self._connection_s_max = config.connection_s_max
        self._outlasting_s_max = config.fragment_duration_s_max  # to end between two fragments
        self._clock = clock
        self._rules = FragmentRules(
            bytes_max=config.fragment_bytes_max, duration_s_max=config.fragment_duration_s_max
        )
        self._splitter = ProducerSplitter(
            element_bytes_max=min(HELD_BYTES_MAX, media.element_bytes_max),
            element_depth_max=media.element_depth_max,
        )
        self._acks: LatestQueue[bytes | None] = LatestQueue(_ACKS_UNREAD_MAX)
        self._pieces: list[Piece] = []
        self._header = b""
        self._fragment: LiveFragment | None = None
        self._is_whole = False  # the open fragment's Cluster is closed
        # What an acknowledgement without a fragment of its own refers to: timecode and number.
        self._at: tuple[int | None, str | None] = (None, None)
        self._receiving: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._refused: Refused | None = None  # while keeping
        self._began = clock.monotonic()
        # Since when we wait for the producer; None while it waits for us.
        self._listening_since: float | None = self._began

    async def acks(self) -> AsyncGenerator[bytes, None]:
        """Run the session; it ends with the body, an error, or silence for too long."""
        running = asyncio.create_task(self._run())
        try:
            while (ack := await self._acks.get()) is not None:
                yield ack
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def _run(self) -> None:
        receiving = self._receiving = asyncio.create_task(self._receive())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({receiving})
            self._settle()
            await self._kept()
            if not receiving.cancelled():  # silence and a failing archive cancel it
                await receiving
        except BodyCut:
            log.info("stream %s: a producer left in the middle", self._stream.info.name)
        except MkvError as error:
            self._refuse(Refused(Refusal.INVALID_MKV_DATA, str(error)))
        except StreamGone as error:
            self._refuse(Refused(Refusal.STREAM_NOT_ACTIVE, str(error)))
        except (SQLAlchemyError, StoreUnavailable, StoreDamaged) as error:
            why = f"The archive takes no fragment ({error}); is the disk full?"
            self._refuse(Refused(Refusal.ARCHIVAL_ERROR, why))
        except Refused as error:
            self._refuse(error)
        finally:
            receiving.cancel()
            watching.cancel()
            await asyncio.gather(receiving, watching, return_exceptions=True)
            self._settle()
            self._acks.put(None)

    async def _receive(self) -> None:
        self._stream.start_session()
        while not await pour(self._body, self._feed):
            self._listening_since = None
            for piece in self._pieces:
                if isinstance(piece, ClusterOpened):
                    await self._open(piece)
                else:
                    self._take(piece)
            self._fed()
        self._listening_since = None
        for piece in self._splitter.close():  # which opens nothing any more
            self._take(piece)
        self._finish()

    def _feed(self, data: bytes) -> bool:
        """Take what has come. False where a fragment begins in it, which may have to wait: what
        is to be taken from there on is in _pieces."""
        pieces = self._splitter.feed(data)
        for index, piece in enumerate(pieces):
            if isinstance(piece, ClusterOpened):
                self._pieces = pieces[index:]
                return False
            self._take(piece)
        self._fed()
        return True

    def _fed(self) -> None:
        self._stream.pulse.beat()
        self._splitter.check()  # what broke behind good pieces is raised only now
        self._listening_since = self._clock.monotonic()

    async def _open(self, cluster: ClusterOpened) -> None:
        await self._kept()  # the fragment before this one: memory holds two at most
        self._finish()
        await self._begin(cluster.timecode)

    def _take(self, piece: Piece) -> None:
        match piece:
            case ClusterData() | Trailing():
                self._append(piece.data)
            case BlockSeen():
                self._rules.frame(piece.track, piece.timecode)
            case Header():
                self._rules.begin_session(piece.tracks, piece.timecode_scale_ns)
                self._header = piece.data
                self._timing = Timing(self._timing.start_ms, piece.timecode_scale_ns)
            case ClusterClosed():
                self._is_whole = True
            case EndOfFragment():
                self._finish()

    async def _begin(self, timecode: int) -> None:
        self._at = (timecode, None)
        if self._connected_s > self._connection_s_max:
            raise self._too_old()
        producer_ms = self._timing.producer_ms(timecode)
        self._rules.begin_fragment(timecode, producer_ms)
        self._is_whole = False
        self._fragment = await self._stream.begin(self._header, timecode, producer_ms)
        self._at = (timecode, self._fragment.number)
        self._tell(AckEvent.BUFFERING, self._fragment)

    def _append(self, data: bytes) -> None:
        # What follows an end-of-fragment tag has no document left to stand in.
        if self._fragment is not None:
            self._rules.data(len(data))
            self._fragment.data += data

    def _finish(self) -> None:
        """The fragment, if one is open, is whole: followers see its end, the archive gets it."""
        fragment, self._fragment = self._fragment, None
        if fragment is None:
            return
        try:
            length_ms = self._rules.end_fragment()
        except Refused:
            self._stream.cut(fragment)
            raise
        self._tell(AckEvent.RECEIVED, fragment)
        storing = self._stream.finish(fragment, length_ms)
        self._keeping = asyncio.create_task(self._keep(fragment, storing, self._keeping))

    async def _keep(
        self,
        fragment: LiveFragment,
        storing: asyncio.Task[bool],
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            if await asyncio.shield(storing):  # the fragment outlives its session
                self._tell(AckEvent.PERSISTED, fragment)
            return
        except StreamGone as error:
            self._refused = Refused(Refusal.STREAM_NOT_ACTIVE, str(error))
        except (OSError, sqlite3.Error, StoreUnavailable, StoreDamaged) as error:
            self._refused = Refused(
                Refusal.ARCHIVAL_ERROR,
                f"Fragment {fragment.number} could not be stored ({error}); is the disk full?",
            )
        self._at = (fragment.timecode, fragment.number)
        self._stop()

    async def _kept(self) -> None:
        """Return once every whole fragment is stored. Raises Refused if one could not be."""
        if self._keeping is not None:
            await asyncio.wait({self._keeping})
        if self._refused is not None:
            raise self._refused

    def _settle(self) -> None:
        """The session is over: a fragment that is whole is kept, another is cut."""
        if self._fragment is not None and self._is_whole:
            with contextlib.suppress(Refused):
                self._finish()
        elif self._fragment is not None:
            self._stream.cut(self._fragment)
            self._fragment = None

    async def _watch(self) -> None:
        """Say so while nothing arrives, and end a session that is silent for too long.

        Not long at all where another session is open: a camera that lost its connection came
        back on a new one, and followers would wait for the rest of its last fragment. And one
        that never comes to the end of its fragment ends all the same.
        """
        while True:
            await self._clock.sleep(IDLE_ACK_S)
            if self._connected_s > self._connection_s_max + self._outlasting_s_max:
                self._refused = self._too_old()
                self._stop()
                return
            if self._listening_since is None:
                continue
            silent_s = self._clock.monotonic() - self._listening_since
            is_replaced = self._stream.producers.size > 1
            if silent_s >= (IDLE_ACK_S if is_replaced else IDLE_S_MAX):
                self._stop()
                return
            if silent_s >= IDLE_ACK_S and self._wants_acks:
                self._acks.put(encode_ack(AckEvent.IDLE, timecode=self._at[0]))

    @property
    def _connected_s(self) -> float:
        return self._clock.monotonic() - self._began

    def _too_old(self) -> Refused:
        return Refused(
            Refusal.MAX_CONNECTION_DURATION_REACHED,
            f"The session is {self._connected_s:.0f} s old; {self._connection_s_max:.0f} s are "
            "the most. Open a new one.",
        )

    def _stop(self) -> None:
        """Take no more of the body."""
        if self._receiving is not None:
            self._receiving.cancel()

    def _tell(self, event: AckEvent, fragment: LiveFragment) -> None:
        if self._wants_acks:
            ack = encode_ack(event, timecode=fragment.timecode, number=fragment.number)
            self._acks.put(ack)

    def _refuse(self, error: Refused) -> None:
        """Told even to a producer that wants no acknowledgements: it is why the session ends."""
        log.warning("stream %s: PutMedia ends: %s", self._stream.info.name, error)
        timecode, number = self._at
        self._acks.put(
            encode_ack(AckEvent.ERROR, timecode=timecode, number=number, refusal=error.refusal)
        )
