"""What is found waits for its line in the audit log, never the other way round."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest

from streamproc.audited import AuditedJobWorld, AuditedWorld
from streamproc.errors import StoreUnavailable
from streamproc.jobs.ports import JobWorld, Outcome
from streamproc.model.face import BoundingBox, Face, IndexedFace, Match
from streamproc.model.job import Group, JobKind, JobSpec
from streamproc.model.media import Fragment, Frame
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry, build_record, encode_record
from streamproc.model.video import ObjectRef
from streamproc.processor.ports import BeforeSend, Delivered, RecordSink, Report, World
from streamproc.processor.state import ProcessorState

ACCOUNT = "123456789012"
SPEC = ProcessorSpec(
    "eu-west-1", "door", "arn:aws:kinesisvideo:eu-west-1:1:stream/cam/1",
    "arn:aws:kinesis:eu-west-1:1:stream/faces", "people", 90.0, "arn:aws:iam::1:role/any",
)  # fmt: skip


class Diary:
    """An audit log that keeps what it is told, and what was told beside it."""

    trouble = ""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.writable = asyncio.Event()
        self.writable.set()

    async def record(
        self, who: str, event: str, details: Mapping[str, Any], *, durable: bool = True
    ) -> None:
        raise StoreUnavailable("nobody here calls this")

    async def insist(
        self,
        who: str,
        event: str,
        details: Mapping[str, Any],
        report: Callable[[str], None],
        *,
        durable: bool = False,
    ) -> None:
        if not self.writable.is_set():
            report("the audit log is full")
            await self.writable.wait()
            report("")
        self.told.append((who, event, dict(details)))

    async def aclose(self) -> None: ...


class SinkWorld:
    """Its sink says when it has a record, and is in trouble itself from the beginning."""

    def __init__(self, told: list[Any]) -> None:
        self._told = told

    @asynccontextmanager
    async def sink(
        self, spec: ProcessorSpec, delivered: Delivered, report: Report, before_send: BeforeSend
    ) -> AsyncIterator[RecordSink]:
        report("the stream is slow")
        yield self

    async def put(self, entry: Entry) -> None:
        self._told.append("put")

    async def drain(self) -> None:
        self._told.append("drain")


def entry_of(*similarities: float) -> Entry:
    matches = [
        {
            "Similarity": similarity,
            "Face": {"FaceId": "f", "ExternalImageId": "Ada", "BoundingBox": {"Left": 0.5}},
        }
        for similarity in similarities
    ]
    record = {
        "InputInformation": {"KinesisVideo": {"FragmentNumber": "7", "FrameOffsetInSeconds": 0.2}},
        "FaceSearchResponse": [
            {"DetectedFace": {"BoundingBox": {"Left": 0.1}}, "MatchedFaces": matches}
        ],
        "RecordId": "r",
    }
    return Entry(encode_record(record), "door")


@asynccontextmanager
async def opened(diary: Diary, report: Report) -> AsyncIterator[RecordSink]:
    async def nothing() -> None: ...

    world = AuditedWorld(cast("World", SinkWorld(diary.told)), diary, ACCOUNT)
    async with world.sink(SPEC, lambda _: None, report, nothing) as sink:
        yield sink


async def test_a_match_is_written_down_before_its_record_is_put() -> None:
    diary = Diary()
    async with opened(diary, lambda _: None) as sink:
        await sink.put(entry_of(99.0, 98.0))
        await sink.drain()
    [(who, event, details), put, drain] = diary.told
    assert (put, drain) == ("put", "drain")
    assert who == "arn:aws:rekognition:eu-west-1:123456789012:streamprocessor/door"
    assert event == "MatchDelivered"
    assert details == {
        "Region": "eu-west-1",
        "CollectionId": "people",
        "DataStreamArn": SPEC.data_stream_arn,
        "RecordId": "r",
        "FragmentNumber": "7",
        "FrameOffsetInSeconds": 0.2,
        "Faces": 1,
        "Matched": 2,
        "Matches": [{"FaceId": "f", "Similarity": 99.0}, {"FaceId": "f", "Similarity": 98.0}],
    }


async def test_a_record_of_strangers_needs_no_line() -> None:
    diary = Diary()
    async with opened(diary, lambda _: None) as sink:
        await sink.put(entry_of())
    assert diary.told == ["put"]


async def test_while_the_log_is_full_the_record_waits_and_both_troubles_are_told() -> None:
    diary = Diary()
    diary.writable.clear()
    told: list[str] = []
    waits = asyncio.Event()

    def report(text: str) -> None:
        told.append(text)
        if "audit" in text:
            waits.set()

    async with opened(diary, report) as sink:
        putting = asyncio.create_task(sink.put(entry_of(99.0)))
        await asyncio.wait_for(waits.wait(), 60)
        assert told[-1] == "the stream is slow the audit log is full"
        assert not putting.done()
        assert not diary.told
        diary.writable.set()
        await putting
    assert told[-1] == "the stream is slow"
    assert diary.told[-1] == "put"


class Searching:
    fps = 5.0
    model_version = "m"

    def __init__(self, *bodies: dict[str, Any] | None) -> None:
        self.outcome = Outcome(groups=[Group(number, body) for number, body in enumerate(bodies)])

    async def finish(self) -> Outcome:
        return self.outcome


class SearchWorld:
    def __init__(self, analysis: Searching) -> None:
        self._analysis = analysis

    def analysis(self, job_id: str, spec: JobSpec) -> Searching:
        return self._analysis


def person(*matches: tuple[str, float]) -> dict[str, Any]:
    found = [
        {"Similarity": similarity, "Face": {"FaceId": face_id, "ExternalImageId": "Ada"}}
        for face_id, similarity in matches
    ]
    return {"Person": {"Index": 0}, "FaceMatches": found}


async def told_of(kind: JobKind, *bodies: dict[str, Any] | None) -> list[Any]:
    diary, analysis = Diary(), Searching(*bodies)
    parameters = {"CollectionId": "people"} if kind is JobKind.FACE_SEARCH else {}
    spec = JobSpec("eu-west-1", kind, ObjectRef("clips", "Ada.mp4"), parameters)
    world = AuditedJobWorld(cast("JobWorld", SearchWorld(analysis)), diary, ACCOUNT)
    assert await world.analysis("job-1", spec).finish() is analysis.outcome
    return diary.told


async def test_a_face_search_that_ends_is_written_down() -> None:
    bodies = person(("a", 91.0), ("b", 90.0)), None, person(("a", 99.0)), person()
    assert await told_of(JobKind.FACE_SEARCH, *bodies) == [
        (
            "arn:aws:rekognition:eu-west-1:123456789012:job/job-1",
            "FaceSearchEnded",
            {
                "Region": "eu-west-1",
                "JobId": "job-1",
                "CollectionId": "people",
                "Matched": 2,
                "Matches": [
                    {"FaceId": "a", "Similarity": 99.0},
                    {"FaceId": "b", "Similarity": 90.0},
                ],
            },
        )
    ]


async def test_celebrities_are_counted_and_not_named() -> None:
    ada = {"Celebrity": {"Id": "AdaLovelace", "Name": "Ada Lovelace", "Confidence": 99.0}}
    [(_, event, details)] = await told_of(JobKind.CELEBRITY_RECOGNITION, ada, ada, None)
    assert event == "CelebrityRecognitionEnded"
    assert details["Matched"] == 1
    assert "Ada" not in str(details)


@pytest.mark.parametrize("kind", [JobKind.FACE_DETECTION, JobKind.LABEL_DETECTION])
async def test_a_job_that_searches_nobody_has_no_line(kind: JobKind) -> None:
    assert await told_of(kind, {"Person": {}}) == []


class Onlooker:
    """A watcher that says when it has seen a frame."""

    def __init__(self, told: list[Any]) -> None:
        self._told = told

    async def seen(self, *_: Any) -> None:
        self._told.append("seen")

    async def state_changed(self, *_: Any) -> None:
        self._told.append("state")


def frame_with(*similarities: float) -> tuple[Frame, list[tuple[Face, list[Match]]]]:
    box = BoundingBox(0.1, 0.1, 0.2, 0.2)
    indexed = IndexedFace("f", "image", "Ada", box, 99.0, "1")
    matches = [Match(indexed, similarity) for similarity in similarities]
    picture = np.zeros((8, 8, 3), np.uint8)
    frame = Frame(Fragment("7", None, None, 0, ()), 0.2, 100.0, picture)
    return frame, [(Face(box, 99.0), matches)]


async def test_a_name_is_seen_by_nobody_before_its_line_and_has_only_one() -> None:
    diary = Diary()
    diary.writable.clear()
    world = AuditedWorld(cast("World", SinkWorld(diary.told)), diary, ACCOUNT)
    watcher = world.watched_by(Onlooker(diary.told))
    frame, faces = frame_with(99.0)
    seeing = asyncio.create_task(watcher.seen(SPEC, frame, faces, lambda _: None))
    await asyncio.sleep(0)
    assert diary.told == []
    diary.writable.set()
    await seeing
    [(who, event, details), seen] = diary.told
    assert (event, seen) == ("MatchDelivered", "seen")
    assert who == "arn:aws:rekognition:eu-west-1:123456789012:streamprocessor/door"
    assert details["Matches"] == [{"FaceId": "f", "Similarity": 99.0}]

    async def nothing() -> None: ...

    record = build_record(SPEC.video_stream_arn, who, frame, faces)
    async with world.sink(SPEC, lambda _: None, lambda _: None, nothing) as sink:
        await sink.put(Entry(encode_record(record), "door"))
    assert diary.told[2:] == ["put"], "the same record has its line already"


async def test_a_frame_of_strangers_is_seen_without_a_line() -> None:
    diary = Diary()
    watcher = AuditedWorld(cast("World", SinkWorld([])), diary, ACCOUNT).watched_by(
        Onlooker(diary.told)
    )
    frame, faces = frame_with()
    await watcher.seen(SPEC, frame, faces, lambda _: None)
    await watcher.state_changed(SPEC, ProcessorState.DELETED, ProcessorState.STOPPED, "")
    assert diary.told == ["seen", "state"]
