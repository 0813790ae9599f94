"""A camera on its way into a Kinesis video stream, for as long as it runs.

Opens the camera on a thread and again whenever it breaks, dates its pictures, and sends them in as
many PutMedia sessions as that takes. What waits is bounded. Knows nothing of configuration, nor
of what is made of the stream.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from botocore.credentials import Credentials

from streamproc.clock import Clock
from streamproc.errors import StreamprocError
from streamproc.kvs import failures, producer
from streamproc.kvs.acks import Ack, PutMediaError
from streamproc.kvs.backlog import Backlog
from streamproc.kvs.camera_failures import CameraRefused, CameraUnreachable
from streamproc.kvs.camera_input import Input, Transport, open_input
from streamproc.kvs.camera_url import SourceKind, SourceUrl, parse_source
from streamproc.kvs.coded import CodedPacket, Facts
from streamproc.kvs.feed_view import QUICK_FOR_S, FeedStatus, FeedView, Rate, retry_wait_s
from streamproc.kvs.live_clock import LiveClock
from streamproc.kvs.live_connection import Connection
from streamproc.kvs.live_session import LiveSession, while_it_answers

__all__ = ["CameraFeed", "FeedOptions", "FeedStatus", "FeedView", "PutMedia", "Target"]

log = logging.getLogger(__name__)

_STEADY_S = 10.0
"""A camera that was live for so long starts its attempts from the beginning."""

_DRAIN_TIMEOUT_S = 5.0
_SESSION_EVERY_S = 1.0  # at most; PutMedia takes five a second of a stream
_STEP_BACK_S = 2.0  # more than B-frames reach back: this machine's clock was set
# What is wrong with the media itself: sending it again would be refused again.
_UNSENDABLE = {
    "MAX_FRAGMENT_SIZE_REACHED",
    "MAX_FRAGMENT_DURATION_REACHED",
    "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS",
    "INVALID_MKV_DATA",
    "INVALID_PRODUCER_TIMESTAMP",
    "FRAGMENT_METADATA_LIMIT_REACHED",
    "FRAMES_MISSING_FOR_TRACK",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a PutMedia session goes, and as whom."""

    endpoint_url: str  # the data endpoint that GetDataEndpoint names for PUT_MEDIA
    region: str
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class FeedOptions:
    transport: Transport = "tcp"
    transcode: bool = False
    verify_tls: bool = True
    timeout_s: float = 10.0  # without data; then the camera is opened again
    backlog_s_max: float = 30.0
    backlog_bytes_max: int = 32 * 1024 * 1024


class PutMedia(Protocol):
    """kvs.producer.put_media, or another way to do the same."""

    async def __call__(
        self,
        endpoint_url: str,
        stream: str,
        body: AsyncIterator[bytes],
        *,
        region: str,
        credentials: Credentials,
        on_ack: Callable[[Ack], None] | None = None,
    ) -> None: ...


class OpenInput(Protocol):
    def __call__(
        self,
        source: SourceUrl,
        *,
        transport: Transport,
        transcode: bool,
        timeout_s: float,
        verify_tls: bool,
    ) -> Input: ...


class CameraFeed:
    """One camera into one stream. run() it once; view() tells how it stands at any time.

    find_target is asked before each PutMedia session and may raise StreamprocError, or what
    kvs.failures calls trouble: it is told in the view, and tried again. on_change hears of every
    other status or message.
    """

    def __init__(
        self,
        source: SourceUrl | str,
        stream: str,
        find_target: Callable[[], Awaitable[Target]],
        options: FeedOptions = FeedOptions(),
        *,
        clock: Clock,
        roll: Callable[[], float] = random.random,
        put: PutMedia = producer.put_media,
        open_input: OpenInput = open_input,
        on_change: Callable[[FeedView], None] | None = None,
    ) -> None:
        """Raises ConfigError if source is a text that names none."""
        self.source = parse_source(source) if isinstance(source, str) else source
        self.stream = stream
        self._find_target = find_target
        self._options = options
        self._clock = clock
        self._roll = roll
        self._put = put
        self._open_input = open_input
        self._on_change = on_change
        self._backlog = Backlog(options.backlog_s_max, options.backlog_bytes_max)
        self._live_clock = LiveClock()
        self._rate = Rate()
        self._connection: Connection | None = None
        self._status, self._message = FeedStatus.CONNECTING, ""
        self._stream_trouble = ""
        self._facts: Facts | None = None
        self._bytes = self._reconnects = self._sessions = 0
        self._received = self._persisted = 0
        self._before_keyframe = self._pictures_dropped = 0
        self._last_fragment: float | None = None
        self._live_at: float | None = None  # when this connection's first packet came, monotonic
        self._down_since = clock.monotonic()
        self._was_live = False
        self._session_began: float | None = None  # monotonic

    def view(self) -> FeedView:
        status, message = self._status, self._message
        if self._stream_trouble and status is FeedStatus.LIVE:
            status, message = FeedStatus.RETRYING, self._stream_trouble
        camera = self._connection.camera if self._connection is not None else None
        return FeedView(
            status=status,
            message=message,
            facts=self._facts,
            bytes_per_second=self._rate.per_second(self._clock.monotonic()),
            bytes_total=self._bytes,
            fragments_received_total=self._received,
            fragments_persisted_total=self._persisted,
            last_fragment_timestamp=self._last_fragment,
            reconnects_total=self._reconnects,
            sessions_total=self._sessions,
            groups_dropped_total=self._backlog.groups_dropped_total,
            packets_dropped_total=self._backlog.packets_dropped_total,
            packets_before_keyframe_total=self._before_keyframe
            + (camera.packets_before_keyframe_total if camera else 0),
            pictures_dropped_total=self._pictures_dropped
            + (camera.pictures_dropped_total if camera else 0),
            waiting_s=self._backlog.waiting_s,
        )

    async def run(self, stop: asyncio.Event, *, give_up_when_refused: bool = False) -> None:
        """Until stop is set: then what came is still sent, for 5 s at most. No trouble of the
        camera or the stream ends it, but with give_up_when_refused a CameraRefused that no
        waiting mends is raised."""
        reading = asyncio.create_task(self._read(give_up_when_refused))
        sending = asyncio.create_task(self._send())
        stopping = asyncio.create_task(stop.wait())
        tasks: tuple[asyncio.Task[Any], ...] = (reading, sending, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                self._end_connection()
                self._backlog.close()
                # A stream that is away now is hardly back within seconds.
                timeout_s = 0 if self._stream_trouble else _DRAIN_TIMEOUT_S
                await asyncio.wait((sending,), timeout=timeout_s)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            self._end_connection()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, give_up_when_refused: bool) -> None:
        attempt = 0
        while True:
            try:
                await self._watch()
            except (CameraRefused, CameraUnreachable) as error:
                lasted_s = self._end_connection()
                if self.source.kind is SourceKind.FILE and lasted_s >= 1:
                    continue  # a file plays again; nothing has broken
                attempt = 0 if lasted_s >= _STEADY_S else attempt + 1
                down_s = self._clock.monotonic() - self._down_since
                is_passing = self._was_live and down_s < QUICK_FOR_S
                is_refused = isinstance(error, CameraRefused) and not (
                    error.may_pass and is_passing
                )
                if is_refused and give_up_when_refused:
                    raise
                self._tell(FeedStatus.REFUSED if is_refused else FeedStatus.RETRYING, str(error))
                await self._clock.sleep(
                    retry_wait_s(
                        max(0, attempt - 1), down_s, is_refused=is_refused, roll=self._roll
                    )
                )

    async def _watch(self) -> None:
        """One connection to the camera; ends by CameraRefused or CameraUnreachable."""
        options = self._options
        open_input = partial(
            self._open_input,
            self.source,
            transport=options.transport,
            transcode=options.transcode,
            timeout_s=options.timeout_s,
            verify_tls=options.verify_tls,
        )
        connection = self._connection = Connection(
            f"camera-{self.stream}",
            open_input,
            self._clock.now,
            opened=self._opened,
            arrived=self._arrived,
        )
        await connection.run()
        raise CameraUnreachable(f"{self.source} ended the stream")

    def _end_connection(self) -> float:
        """How long the camera was live, in seconds; 0 where it never was."""
        connection, self._connection = self._connection, None
        if connection is None:
            return 0.0
        connection.end()
        if connection.camera is not None:
            self._before_keyframe += connection.camera.packets_before_keyframe_total
            self._pictures_dropped += connection.camera.pictures_dropped_total
        self._backlog.pause()
        self._live_clock.reopened()
        if self._live_at is None:
            return 0.0
        now = self._clock.monotonic()
        lasted_s, self._live_at, self._down_since = now - self._live_at, None, now
        return max(lasted_s, 1e-6)

    def _opened(self, connection: Connection, facts: Facts) -> None:
        """The camera answers, on the loop."""
        if connection is self._connection:
            self._facts = facts

    def _arrived(self, connection: Connection, packet: CodedPacket, arrival_s: float) -> None:
        """A packet came, on the loop."""
        if connection is not self._connection:
            return  # from one that was given up
        now = self._clock.monotonic()
        if self._live_at is None:
            self._live_at = now
            self._reconnects += self._was_live and self.source.is_live
            self._was_live = True
            self._tell(FeedStatus.LIVE, "")
        self._bytes += len(packet.payload)
        self._rate.add(len(packet.payload), now)
        reached_s = self._live_clock.reached_s
        at_s = self._live_clock.place(packet.pts_s, arrival_s)
        if reached_s is not None and at_s < reached_s - _STEP_BACK_S:
            self._backlog.pause()
        self._backlog.put(at_s, packet)
        track, facts = packet.track, self._facts
        if facts is not None and (facts.width, facts.height) != (track.width, track.height):
            self._facts = replace(facts, width=track.width, height=track.height)

    async def _send(self) -> None:
        attempt, reached = 0, 0
        while await self._backlog.wait():
            if self._received > reached:
                attempt, reached = 0, self._received
            try:
                await self._pause_between_sessions()
                target = await self._find_target()
                self._sessions += 1
                session = LiveSession(self._backlog)
                putting = self._put(
                    target.endpoint_url,
                    self.stream,
                    session.body(),
                    region=target.region,
                    credentials=target.credentials,
                    on_ack=partial(self._acknowledged, session),
                )
                await while_it_answers(putting, session, self._clock)
                session.succeeded()
                self._stream_told("")
            except (StreamprocError, *failures.TROUBLE) as error:
                if isinstance(error, PutMediaError) and error.code in _UNSENDABLE:
                    self._backlog.pass_over()
                else:
                    self._backlog.rewind()
                self._stream_told(_stream_words(error))
                await self._clock.sleep(
                    retry_wait_s(attempt, 0.0, is_refused=False, roll=self._roll)
                )
                attempt += 1

    async def _pause_between_sessions(self) -> None:
        """A camera whose parameter sets change with every keyframe asks for one each time."""
        if self._session_began is not None:
            wait_s = self._session_began + _SESSION_EVERY_S - self._clock.monotonic()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
        self._session_began = self._clock.monotonic()

    def _acknowledged(self, session: LiveSession, ack: Ack) -> None:
        if ack.event_type not in {"RECEIVED", "PERSISTED"}:
            return
        session.answered()
        self._received += ack.event_type == "RECEIVED"
        self._persisted += ack.event_type == "PERSISTED"
        if ack.timecode is not None:
            self._last_fragment = ack.timecode / 1000
            session.confirmed(ack.timecode)
        self._stream_told("")

    def _stream_told(self, trouble: str) -> None:
        if trouble == self._stream_trouble:
            return
        self._stream_trouble = trouble
        if trouble:
            log.warning("camera %s: %s", self.stream, trouble, extra={"camera": self.stream})
        else:
            log.info("camera %s: sent again", self.stream, extra={"camera": self.stream})
        self._changed()

    def _tell(self, status: FeedStatus, message: str) -> None:
        if (status, message) == (self._status, self._message):
            return
        self._status, self._message = status, message
        where = {"camera": self.stream}
        if status is FeedStatus.LIVE:
            log.info(
                "camera %s is live: %s, %s", self.stream, self.source, self._facts, extra=where
            )
        else:
            log.warning("camera %s: %s", self.stream, message, extra=where)
        self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self.view())


def _stream_words(error: Exception) -> str:
    """One line on why nothing reaches the stream."""
    if isinstance(error, StreamprocError):
        return str(error)
    return failures.words(error)
