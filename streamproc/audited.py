"""Worlds in which nothing is found unseen: what processors and jobs find is in the audit log
before anybody hears of it.

Wraps processor.ports.World and jobs.ports.JobWorld. Knows which of their words are worth a line;
how lines are kept is audit's affair.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from streamproc.audit.details import group_details, record_details
from streamproc.audit.log import Audit
from streamproc.jobs.ports import Analysis, JobWorld, Notice, Outcome
from streamproc.model.arn import Arn, stream_processor_arn
from streamproc.model.job import Item, JobKind, JobSpec
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry
from streamproc.model.video import VideoFrame
from streamproc.processor.ports import (
    BeforeSend,
    Delivered,
    FaceSearch,
    LiveAnalyser,
    MediaSource,
    RecordSink,
    Report,
    World,
)
from streamproc.processor.view import Notices

_SEARCHES = {JobKind.FACE_SEARCH, JobKind.CELEBRITY_RECOGNITION}


class AuditedWorld:
    """Implements processor.ports.World."""

    def __init__(self, world: World, audit: Audit, account_id: str) -> None:
        self._world = world
        self._audit = audit
        self._account_id = account_id

    @property
    def analyser(self) -> LiveAnalyser:
        return self._world.analyser

    async def ready(self, report: Report) -> None:
        await self._world.ready(report)

    def source(
        self, spec: ProcessorSpec, report: Report
    ) -> AbstractAsyncContextManager[MediaSource]:
        return self._world.source(spec, report)

    @asynccontextmanager
    async def sink(
        self, spec: ProcessorSpec, delivered: Delivered, report: Report, before_send: BeforeSend
    ) -> AsyncIterator[RecordSink]:
        troubles = _Together(report)
        arn = stream_processor_arn(spec.region, self._account_id, spec.name)
        opening = self._world.sink(spec, delivered, troubles.slot("data stream"), before_send)
        async with opening as sink:
            yield AuditedSink(sink, self._audit, arn, spec, troubles.slot("audit log"))

    def faces(self, spec: ProcessorSpec) -> AbstractAsyncContextManager[FaceSearch]:
        return self._world.faces(spec)


class AuditedSink:
    """Implements processor.ports.RecordSink: no match leaves without its line. While the line
    cannot be written, put() waits."""

    def __init__(
        self, sink: RecordSink, audit: Audit, arn: str, spec: ProcessorSpec, report: Report
    ) -> None:
        """arn: the processor's."""
        self._sink = sink
        self._audit = audit
        self._arn = arn
        self._common = {
            "Region": spec.region,
            "CollectionId": spec.collection_id,
            "DataStreamArn": spec.data_stream_arn,
        }
        self._report = report

    async def put(self, entry: Entry) -> None:
        found = record_details(from_json(entry.data))
        if found is not None:
            details = self._common | found
            await self._audit.insist(self._arn, "MatchDelivered", details, self._report)
        await self._sink.put(entry)

    async def drain(self) -> None:
        await self._sink.drain()


class AuditedJobWorld:
    """Implements jobs.ports.JobWorld."""

    def __init__(self, world: JobWorld, audit: Audit, account_id: str) -> None:
        self._world = world
        self._audit = audit
        self._account_id = account_id

    def analysis(self, job_id: str, spec: JobSpec) -> Analysis[Any]:
        analysis = self._world.analysis(job_id, spec)
        if spec.kind not in _SEARCHES:
            return analysis
        arn = str(Arn("rekognition", spec.region, self._account_id, f"job/{job_id}"))
        return AuditedAnalysis(analysis, self._audit, arn, job_id, spec)

    def video(
        self, spec: JobSpec, fetched: Callable[[float], None]
    ) -> AbstractAsyncContextManager[Path]:
        return self._world.video(spec, fetched)

    async def publish(self, notice: Notice) -> None:
        await self._world.publish(notice)


class AuditedAnalysis:
    """Implements jobs.ports.Analysis: what a search has found is seen by nobody before its line
    is written. While it cannot be, the job waits at its end."""

    def __init__(
        self, analysis: Analysis[Any], audit: Audit, arn: str, job_id: str, spec: JobSpec
    ) -> None:
        """arn: the job's."""
        self.fps = analysis.fps
        self.model_version = analysis.model_version
        self._analysis = analysis
        self._audit = audit
        self._arn = arn
        self._event = f"{spec.kind.value}Ended"
        self._common = {"Region": spec.region, "JobId": job_id}
        if "CollectionId" in spec.parameters:
            self._common["CollectionId"] = spec.parameters["CollectionId"]

    async def look(self, frame: VideoFrame) -> Any:
        return await self._analysis.look(frame)

    def add(self, timestamp_ms: int, seen: Any) -> Iterable[Item]:
        return self._analysis.add(timestamp_ms, seen)

    async def finish(self) -> Outcome:
        outcome = await self._analysis.finish()
        details = self._common | group_details([group.body for group in outcome.groups])
        await self._audit.insist(self._arn, self._event, details, _ignore)
        return outcome


class _Together:
    """Several parts that report to one slot."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._notices = Notices()

    def slot(self, part: str) -> Report:
        mine = self._notices.slot(part)

        def report(text: str) -> None:
            mine(text)
            self._report(self._notices.text)

        return report


def _ignore(_: str) -> None:
    """A job has no message while it is in progress; the log has told."""
