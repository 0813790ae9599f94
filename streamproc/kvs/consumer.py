"""Read a Kinesis video stream for ever: GetMedia, again and again, without a gap.

A GetMedia session ends when the service likes: after 45 minutes, when the camera pauses, in
the middle of a fragment. This module goes on where it ended. Knows the service and its
failures; knows nothing of codecs or faces.
"""

import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from aiobotocore.response import AioReadTimeoutError
from botocore.exceptions import ClientError

from streamproc.aio import backoff_seconds
from streamproc.aws import AwsClients
from streamproc.clock import Clock
from streamproc.errors import MkvError
from streamproc.kvs import failures
from streamproc.kvs.cursor import Cursor
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.arn import Arn
from streamproc.model.media import FragmentEnded, FragmentFailed, FragmentStarted, MediaEvent
from streamproc.model.position import StartPosition
from streamproc.model.processor import ProcessorSpec

log = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S = 10.0


@asynccontextmanager
async def open_source(
    clients: AwsClients,
    spec: ProcessorSpec,
    report: Callable[[str], None],
    clock: Clock,
    roll: Callable[[], float] = random.random,
) -> AsyncIterator["KinesisVideoSource"]:
    """The processor's video stream.

    Raises PermanentFailure at once if the stream is missing or access is denied. Passing
    trouble is only reported: the source goes on trying when it is read.
    """
    source = KinesisVideoSource(clients, spec.video_stream, spec.role_arn, report, clock, roll)
    await source.check()
    yield source


class KinesisVideoSource:
    """Implements processor.ports.MediaSource."""

    def __init__(
        self,
        clients: AwsClients,
        stream: Arn,
        role_arn: str,
        report: Callable[[str], None],
        clock: Clock,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.sessions_total = 0  # GetMedia calls that were answered
        self.skipped_total = 0  # fragments that were damaged twice
        self.failed_total = 0  # fragments that the service could not deliver
        self._stream = stream
        self._report = report
        self._clock = clock
        self._roll = roll
        self._endpoints = _Endpoints(clients, stream, role_arn)
        self._reported = False
        self._damage_reported = False

    async def check(self) -> None:
        """Ask for the stream once. Raises PermanentFailure as open_source does."""
        try:
            await self._endpoints.data_endpoint()
        except failures.TROUBLE as error:
            self._on_trouble(error)

    async def events(self, position: StartPosition) -> AsyncIterator[MediaEvent]:
        """Every event from the position on, for ever; close it with aclosing().

        A fragment that was cut ends with complete=False and is delivered again from its start,
        except where the service itself gave it up. Raises PermanentFailure if the stream does
        not exist (any more), access is denied, or its key is out of reach.
        """
        cursor = Cursor(position)
        attempt = 0
        async with _Line(self._endpoints) as line:
            while True:
                before = cursor.position
                try:
                    async with aclosing(self._session(line, cursor)) as events:
                        async for event in events:
                            yield event
                except AioReadTimeoutError:
                    attempt = -1  # the camera pauses; the wait is behind us
                except failures.TROUBLE as error:
                    await self._heal(error, line, cursor)
                attempt = 0 if cursor.position != before else attempt + 1
                await self._clock.sleep(backoff_seconds(attempt, roll=self._roll))

    async def _session(self, line: "_Line", cursor: Cursor) -> AsyncIterator[MediaEvent]:
        """One GetMedia from its beginning to its end, whichever way it ends."""
        payload = await line.get_media(cursor.selector())
        self.sessions_total += 1
        if not self._damage_reported:
            self._on_health()
        parser = FragmentParser()
        ended: Exception | None = None
        async with payload:
            try:
                while ended is None:
                    data = await payload.read(_READ_BYTES)
                    for event in parser.feed(data):
                        self._note(event, cursor)
                        yield event
                    if not data:
                        break
            except MkvError:
                raise
            except failures.TROUBLE as error:
                ended = error
        for event in parser.close():
            self._note(event, cursor)
            yield event
        if ended is not None:
            raise ended

    def _note(self, event: MediaEvent, cursor: Cursor) -> None:
        cursor.take(event)
        match event:
            case FragmentStarted(fragment):
                self._number = fragment.number
            case FragmentEnded(complete=True):
                self._on_health()
            case FragmentFailed(number, error_id, error_code):
                self.failed_total += 1
                failure = failures.key_failure(error_id, error_code, self._stream.name)
                if failure is not None:
                    raise failure
                log.warning(
                    "stream %s: fragment %s is not delivered: %s (%s)",
                    self._stream.name, number or "?", error_code, error_id,
                )
