"""Worlds in which nothing is found unseen: what processors and jobs find is in the audit log
before anybody hears of it.

Wraps processor.ports.World and jobs.ports.JobWorld. Knows which of their words are worth a line;
how lines are kept is audit's affair.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from streamproc.audit.details import group_details, record_details
from streamproc.audit.log import Audit
from streamproc.jobs.ports import Analysis, JobWorld, Notice, Outcome
from streamproc.model.arn import Arn, stream_processor_arn
from streamproc.model.face import Face, Match
from streamproc.model.job import Item, JobKind, JobSpec
from streamproc.model.media import Frame
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.model.record import Entry, build_record
from streamproc.model.video import VideoFrame
from streamproc.processor.ports import (
    BeforeSend,
    Delivered,
    FaceSearch,
    LiveAnalyser,
    MediaSource,
    RecordSink,
    Report,
    Watcher,
    World,
)
from streamproc.processor.state import ProcessorState
from streamproc.processor.view import Notices

_SEARCHES = {JobKind.FACE_SEARCH, JobKind.CELEBRITY_RECOGNITION}


class AuditedWorld:
    """Implements processor.ports.World."""

    def __init__(self, world: World, audit: Audit, account_id: str) -> None:
        self._world = world
        self._lines = MatchLines(audit, account_id)

    def watched_by(self, watcher: Watcher) -> Watcher:
        """The watcher of the same processors: it, too, hears of no match without its line."""
        return AuditedWatcher(watcher, self._lines)

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
        opening = self._world.sink(spec, delivered, troubles.slot("data stream"), before_send)
        async with opening as sink:
            yield AuditedSink(sink, self._lines, spec, troubles.slot("audit log"))

    def faces(self, spec: ProcessorSpec) -> AbstractAsyncContextManager[FaceSearch]:
        return self._world.faces(spec)


class MatchLines:
    """A line for each record with a match: one, whoever is to hear of it first."""

    def __init__(self, audit: Audit, account_id: str) -> None:
        self._audit = audit
        self._account_id = account_id
        self._written: dict[ProcessorKey, str] = {}  # the record written of last

    def arn(self, spec: ProcessorSpec) -> str:
        return stream_processor_arn(spec.region, self._account_id, spec.name)

    async def write(self, spec: ProcessorSpec, record: Mapping[str, Any], report: Report) -> None:
        """Return with the line in the log, if this record needs one. Waits while it cannot be
        written."""
        found = record_details(record)
        if found is None:
            return
        record_id = found["RecordId"]
        if record_id is not None and self._written.get(spec.key) == record_id:
            return
        common = {
            "Region": spec.region,
            "CollectionId": spec.collection_id,
            "DataStreamArn": spec.data_stream_arn,
        }
        await self._audit.insist(self.arn(spec), "MatchDelivered", common | found, report)
        self._written[spec.key] = record_id

    def has_last(self, spec: ProcessorSpec, record: bytes) -> bool:
        """Whether this is the record written of last, so that nobody has to read it again."""
        record_id = self._written.get(spec.key)
        return record_id is not None and record_id.encode() in record

    def forget(self, spec: ProcessorSpec) -> None:
        """The processor is no more."""
        self._written.pop(spec.key, None)


class AuditedSink:
    """Implements processor.ports.RecordSink: no match leaves without its line. While the line
    cannot be written, put() waits."""

    def __init__(
        self, sink: RecordSink, lines: MatchLines, spec: ProcessorSpec, report: Report
    ) -> None:
        self._sink = sink
        self._lines = lines
        self._spec = spec
        self._report = report

    async def put(self, entry: Entry) -> None:
        if not self._lines.has_last(self._spec, entry.data):
            await self._lines.write(self._spec, from_json(entry.data), self._report)
        await self._sink.put(entry)

    async def drain(self) -> None:
        await self._sink.drain()


class AuditedWatcher:
    """Implements processor.ports.Watcher: names leave in events and in the live view before the
    record does, so its line is written before both."""

    def __init__(self, watcher: Watcher, lines: MatchLines) -> None:
        self._watcher = watcher
        self._lines = lines

    async def seen(
        self,
        spec: ProcessorSpec,
        frame: Frame,
        faces: Sequence[tuple[Face, Sequence[Match]]],
        report: Report,
    ) -> None:
        if any(matches for _, matches in faces):
            record = build_record(spec.video_stream_arn, self._lines.arn(spec), frame, faces)
            await self._lines.write(spec, record, report)
        await self._watcher.seen(spec, frame, faces, report)

    async def state_changed(
        self,
        spec: ProcessorSpec,
        state: ProcessorState,
        previous: ProcessorState | None,
        message: str,
    ) -> None:
        if state is ProcessorState.DELETED:
            self._lines.forget(spec)
        await self._watcher.state_changed(spec, state, previous, message)


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
