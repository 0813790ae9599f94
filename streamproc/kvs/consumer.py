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
from streamproc.errors import MkvError
from streamproc.kvs import failures
from streamproc.kvs.connection import Connection
from streamproc.kvs.cursor import Cursor
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentEnded, FragmentFailed, MediaEvent
from streamproc.model.position import StartPosition
from streamproc.model.processor import ProcessorSpec

log = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024


@asynccontextmanager
async def open_source(
    clients: AwsClients,
    spec: ProcessorSpec,
    report: Callable[[str], None],
    clock: Clock,
    roll: Callable[[], float] = random.random,
) -> AsyncIterator["KinesisVideoSource"]:
    """The processor's video stream.

    Raises PermanentFailure at once if the stream is missing or access is denied. Trouble that
    may pass is only reported: the source goes on trying when it is read.
    """
    async with Connection(clients, spec.video_stream, spec.role_arn) as connection:
        source = KinesisVideoSource(connection, spec.video_stream.name, report, clock, roll)
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
    ) -> None:
        self._connection = connection
        self._name = stream_name
        self._report = report
        self._clock = clock
        self._roll = roll
        self._told = ""
        self._media_is_damaged = False

    async def check(self) -> None:
        """Ask for the stream once. Raises PermanentFailure as open_source does."""
        try:
            await self._connection.find_endpoint()
        except failures.TROUBLE as error:
            await self._on_trouble(error)

    async def events(self, position: StartPosition) -> AsyncGenerator[MediaEvent, None]:
        """Every event from the position on, for ever; close it with aclosing().

        A fragment that was cut ends with complete=False and comes again from its start, unless
        the service itself gave it up. Raises PermanentFailure if the stream does not exist (any
        more), access is denied or its encryption key is out of reach.
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
        if not self._media_is_damaged:
            self._tell("")
        parser = FragmentParser()
        cut: Exception | None = None
        async with payload:
            while True:
                try:
                    data = await payload.read(_READ_BYTES)
                except failures.TROUBLE as error:
                    cut = error
                    break
                for event in parser.feed(data):
                    self._take(event, cursor)
                    yield event
                if not data:
                    break
        for event in parser.close():  # the fragment that is open now, if any, was cut
            self._take(event, cursor)
            yield event
        if isinstance(cut, AioReadTimeoutError):
            raise cut
        if cut is not None:
            self._tell(failures.words(cut))

    def _take(self, event: MediaEvent, cursor: Cursor) -> None:
        cursor.take(event)
        match event:
            case FragmentEnded(complete=True):
                self._media_is_damaged = False
                self._tell("")
            case FragmentFailed(number, error_id, error_code):
                failure = failures.of_key(error_id, error_code, self._name)
                if failure is not None:
                    raise failure
                self._tell(
                    f"Kinesis Video cannot deliver fragment {number or '?'} of stream "
                    f"{self._name} ({error_code or error_id}); reading on behind it"
                )

    def _on_damage(self, error: MkvError, cursor: Cursor) -> None:
        self._media_is_damaged = True
        action = "skipping it" if cursor.skip_damage() else "reading it again"
        self._tell(f"The media of stream {self._name} is damaged, {action}: {error}")

    async def _on_trouble(self, error: Exception) -> None:
        """Raises PermanentFailure if no retry heals it."""
        failure = failures.permanent(error, self._name)
        # A client that has worked and is denied now has credentials that ran out: get new ones.
        expired = failures.is_denied(error) and self._connection.has_served
        if failure is not None and not expired:
            raise failure from error
        await self._connection.drop()
        self._tell(failures.words(error))

    def _tell(self, text: str) -> None:
        """Report what is wrong, once; "" when it is well again."""
        if text != self._told:
            self._told = text
            if text:
                log.warning("%s", text)
            self._report(text)
