"""Read a Kinesis video stream for ever: GetMedia, again and again, without a gap.

A GetMedia session ends when the service likes: after 45 minutes, when the camera pauses, in
the middle of a fragment. This module goes on where it ended. Knows the service and its
failures; knows nothing of codecs or faces.
"""

import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from aiobotocore.response import AioReadTimeoutError

from streamproc.aio import backoff_seconds
from streamproc.aws import AwsClients
from streamproc.clock import Clock
from streamproc.errors import MkvError, OutOfReach, PermanentFailure
from streamproc.kvs import failures
from streamproc.kvs.connection import Connection
from streamproc.kvs.cursor import Cursor
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentEnded, FragmentFailed, MediaEvent, Packet
from streamproc.model.position import StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.settings import MediaConfig

log = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024

STALL_S = 60.0
"""A block that claims more bytes than ever come would hold its stream for as long as some do."""

MISSING_S = 10.0
"""For so long a stream that was there may be missing. Made anew it has another ARN, so nothing
but an answer that was wrong heals by waiting."""

_REFUSALS_MAX = 8
"""So often the service may fail at one fragment for reasons of its own, some twenty seconds,
before it is left behind."""

DAMAGED_READS_MAX = 4
"""So often a fragment is read before what is damaged in it counts as stored that way: the network
may have done it, and may do it again."""

_STALLED_READS_MAX = 2
"""The same for one that takes stall_s to find."""


class _Stalled(MkvError):
    """Bytes come, and no packet."""


@asynccontextmanager
async def open_source(
    clients: AwsClients,
    spec: ProcessorSpec,
    report: Callable[[str], None],
    clock: Clock,
    roll: Callable[[], float] = random.random,
    *,
    stall_s: float = STALL_S,
    media: MediaConfig = MediaConfig(),
) -> AsyncIterator["KinesisVideoSource"]:
    """The processor's video stream.

    Raises PermanentFailure at once if the stream is missing or access is denied. Trouble that
    may pass is only reported: the source goes on trying when it is read. Media that makes no
    whole packet in stall_s seconds counts as damaged.
    """
    async with Connection(clients, spec.video_stream, spec.role_arn) as connection:
        source = KinesisVideoSource(
            connection, spec.video_stream.name, report, clock, roll, stall_s=stall_s, media=media
        )
        await source.check()
        yield source


class KinesisVideoSource:
    """Implements processor.ports.MediaSource."""

    def __init__(
        self,
        connection: Connection,
        stream_name: str,
        report: Callable[[str], None],
        clock: Clock,
        roll: Callable[[], float] = random.random,
        *,
        stall_s: float = STALL_S,
        media: MediaConfig = MediaConfig(),
    ) -> None:
        self._connection = connection
        self._name = stream_name
        self._report = report
        self._clock = clock
        self._roll = roll
        self._stall_s = stall_s
        self._media = media
        self._told = ""
        self._media_is_damaged = False
        self._has_read = False  # media came, so it could be decrypted
        self._missing_since: float | None = None  # monotonic
        self._refusals = 0  # how often the service has failed at the fragment that is due

    async def check(self) -> None:
        """Ask for the stream once. Raises PermanentFailure as open_source does."""
        try:
            await self._connection.find_endpoint()
        except failures.TROUBLE as error:
            await self._on_trouble(error)

    async def events(self, position: StartPosition) -> AsyncGenerator[MediaEvent, None]:
        """Every event from the position on, for ever; close it with aclosing().

        A fragment that was cut ends with complete=False and comes again from its start, unless
        the service itself gave it up. Raises PermanentFailure if the stream does not exist,
        access is denied or its encryption key is out of reach; where media has come before,
        that is told and waited out (a missing stream for MISSING_S).
        """
        cursor = Cursor(position)
        attempt = 0
        while True:
            before, paused = cursor.position, False
            try:
                async with aclosing(self._session(cursor)) as events:
                    async for event in events:
                        yield event
            except AioReadTimeoutError:
                paused = True  # the camera is silent, and the wait is behind us
            except MkvError as error:
                self._on_damage(error, cursor)
            except failures.TROUBLE as error:
                if failures.is_invalid_argument(error):
                    cursor.forget_number()
                await self._on_trouble(error)
            attempt = 0 if paused or cursor.position != before else attempt + 1
            await self._clock.sleep(backoff_seconds(attempt, roll=self._roll))

    async def _session(self, cursor: Cursor) -> AsyncGenerator[MediaEvent, None]:
        """One GetMedia from its beginning to its end.

        Raises AioReadTimeoutError when nothing comes any more, MkvError at damage, and what
        botocore raises if there is no session to begin with.
        """
        payload = await self._connection.get_media(cursor.selector())
        self._missing_since = None
        if not self._media_is_damaged and not self._refusals:
            self._tell("")
        parser = FragmentParser(
            element_bytes_max=self._media.element_bytes_max,
            element_depth_max=self._media.element_depth_max,
        )
        waited_s = 0.0  # for bytes, since the last event
        cut: Exception | None = None
        async with payload:
            while True:
                began = self._clock.monotonic()
                try:
                    data = await payload.read(_READ_BYTES)
                except failures.TROUBLE as error:
                    cut = error
                    break
                events = parser.feed(data)
                waited_s = 0.0 if events else waited_s + self._clock.monotonic() - began
                for event in events:
                    if not isinstance(event, Packet):  # which most are, and decide nothing
                        self._take(event, cursor)
                    yield event
                parser.check()  # what broke behind good events is raised now, not with the next
                if not data:
                    break
                if waited_s > self._stall_s:
                    cut = _Stalled(f"{waited_s:.0f} s of bytes that make no packet")
                    break
        for event in parser.close():  # the fragment that is open now, if any, was cut
            self._take(event, cursor)
            yield event
        if isinstance(cut, AioReadTimeoutError | MkvError):
            raise cut
        if cut is not None:
            self._tell(failures.words(cut))

    def _take(self, event: MediaEvent, cursor: Cursor) -> None:
        if isinstance(event, FragmentFailed):
            self._check_key(event)
            self._ask_again(event)
            self._tell(
                f"Kinesis Video cannot deliver fragment {event.number or '?'} of stream "
                f"{self._name} ({event.error_code or event.error_id}); reading on behind it"
            )
        cursor.take(event)
        if isinstance(event, FragmentEnded) and event.complete:
            self._media_is_damaged = False
            self._has_read = True
            self._refusals = 0
            self._tell("")

    def _check_key(self, event: FragmentFailed) -> None:
        """Raises what it means that the stream cannot be decrypted. The fragment is there, so
        nothing is left behind."""
        failure = failures.of_key(event.error_id, event.error_code, self._name)
        if failure is None:
            return
        if not self._has_read:
            raise failure
        raise failures.UnusableAnswer(str(failure))

    def _ask_again(self, event: FragmentFailed) -> None:
        """Raises UnusableAnswer where the fragment may be had a little later."""
        self._refusals += 1
        is_internal = event.error_id == failures.INTERNAL and self._refusals < _REFUSALS_MAX
        if is_internal or event.error_id == failures.KEY_UNAVAILABLE:
            raise failures.UnusableAnswer(
                f"{event.error_code or 'error'} ({event.error_id}) for fragment "
                f"{event.number or '?'} of stream {self._name}"
            )
        self._refusals = 0

    def _on_damage(self, error: MkvError, cursor: Cursor) -> None:
        self._media_is_damaged = True
        reads_max = _STALLED_READS_MAX if isinstance(error, _Stalled) else DAMAGED_READS_MAX
        action = "skipping it" if cursor.skip_damage(reads_max) else "reading it again"
        self._tell(f"The media of stream {self._name} is damaged, {action}: {error}")

    async def _on_trouble(self, error: Exception) -> None:
        """Raises PermanentFailure if no retry heals it."""
        failure = failures.permanent(error, self._name)
        if failure is not None and not self._may_come_back(failure, error):
            raise failure from error
        await self._connection.drop()
        self._tell(failures.words(error) if failure is None else f"{failure}; trying again")

    def _may_come_back(self, failure: PermanentFailure, error: Exception) -> bool:
        if not self._connection.has_served:
            return False
        if isinstance(failure, OutOfReach):
            return True  # credentials ran out, or rights are being changed
        if not failures.is_missing(error):
            return False
        now = self._clock.monotonic()
        if self._missing_since is None:
            self._missing_since = now
        return now - self._missing_since < MISSING_S

    def _tell(self, text: str) -> None:
        """Report what is wrong, each time it is tried again; "" once it is well again."""
        if text and text != self._told:
            log.warning("%s", text)
        if text or self._told:
            self._report(text)
        self._told = text
