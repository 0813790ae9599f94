"""The real world of a processor: Kinesis clients, the collections, the engine.

The only module that joins processor/ports.py to kvs, sink and collection. Decides which
endpoint and whose credentials; decides nothing about media or records.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from streamproc.aws import AwsClients
from streamproc.clock import Clock
from streamproc.config import Config
from streamproc.engines.scheduler import Scheduler
from streamproc.errors import TransientFailure
from streamproc.kvs.consumer import open_source
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.ports import (
    BeforeSend,
    Delivered,
    FaceSearch,
    MediaSource,
    RecordSink,
    Report,
)
from streamproc.sink.figures import SinkFigures
from streamproc.sink.kinesis import KinesisSink

if TYPE_CHECKING:
    from streamproc.collection.service import CollectionService


class KinesisWorld:
    """Implements processor.ports.World."""

    def __init__(
        self,
        config: Config,
        clients: AwsClients,
        collections: "CollectionService",
        scheduler: Scheduler,
        clock: Clock,
        *,
        ready: Callable[[], Awaitable[None]],
        sink_figures: SinkFigures | None = None,
    ) -> None:
        """ready returns once collections and scheduler may be used; all sinks count in
        sink_figures."""
        self._config = config
        self._clients = clients
        self._collections = collections
        self._clock = clock
        self._ready = ready
        self._sink_figures = sink_figures
        self.analyser = scheduler

    async def ready(self, report: Report) -> None:
        report("Not running yet: the models are loading.")
        await self._ready()
        report("")

    def source(
        self, spec: ProcessorSpec, report: Report
    ) -> AbstractAsyncContextManager[MediaSource]:
        silence_s = self._config.processors.silence_s
        return open_source(
            self._clients, spec, report, self._clock,
            stall_s=silence_s, media=self._config.media,
        )  # fmt: skip

    @asynccontextmanager
    async def sink(
        self, spec: ProcessorSpec, delivered: Delivered, report: Report, before_send: BeforeSend
    ) -> AsyncIterator[RecordSink]:
        stream = spec.data_stream
        opening = self._clients.open(
            "kinesis", stream.region, role_arn=spec.role_arn, retries={"max_attempts": 0}
        )
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(opening)
            except (ClientError, BotoCoreError) as error:  # while the role is assumed
                raise TransientFailure(f"no client for Kinesis Data: {error}") from error
            sink = KinesisSink(
                client,
                spec.data_stream_arn,
                self._config.sink,
                delivered,
                report,
                self._clock,
                before_send=before_send,
                figures=self._sink_figures,
            )
            await stack.enter_async_context(sink)
            await sink.check()
            yield sink

    @asynccontextmanager
    async def faces(self, spec: ProcessorSpec) -> AsyncIterator[FaceSearch]:
        threshold = max(spec.face_match_threshold, self._config.faces.face_match_threshold_floor)
        async with self._collections.searcher(spec, threshold) as search:
            yield search
