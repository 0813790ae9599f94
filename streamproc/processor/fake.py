"""A World in memory that behaves as told, for tests: no network, no models.

The video stream is a list of events that grows while it is read, the data stream a list of
records. Opening can fail or take long, the data stream can stop acknowledging.
"""
# ruff: noqa: ARG002 (a World is told which processor asks; this one answers all alike)

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

import numpy as np

from streamproc.engines.base import FaceEngine
from streamproc.model.face import BoundingBox, Embedding, Face, IndexedFace, Match
from streamproc.model.media import FragmentEnded, FragmentStarted, Image, MediaEvent
from streamproc.model.position import AfterFragment, FromServerTime, StartAt, StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry
from streamproc.processor.ports import (
    BeforeSend,
    Delivered,
    FaceSearch,
    MediaSource,
    RecordSink,
    Report,
)

Part: TypeAlias = Literal["source", "sink", "faces"]


class ScriptedStream:
    """A video stream. What is appended reaches whoever reads; positions lists where reading
    began each time."""

    def __init__(self) -> None:
        self.positions: list[StartPosition] = []
        self._script: list[MediaEvent | Exception] = []
        self._changed = asyncio.Condition()

    async def append(self, *events: MediaEvent | Exception) -> None:
        """Events for every reader; an exception is raised to those who come that far."""
        async with self._changed:
            self._script.extend(events)
            self._changed.notify_all()

    async def events(self, position: StartPosition) -> AsyncGenerator[MediaEvent, None]:
        self.positions.append(position)
        place = self._place(position)
        while True:
            async with self._changed:
                while place >= len(self._script):
                    await self._changed.wait()
            step = self._script[place]
            place += 1
            if isinstance(step, Exception):
                raise step
            yield step

    def _place(self, position: StartPosition) -> int:
        match position:
            case StartAt.EARLIEST:
                return 0
            case StartAt.NOW:
                return len(self._script)
            case AfterFragment(number):
                ends = self._places(FragmentEnded)
                return next(place + 1 for place, end in ends if end.number == number)
            case FromServerTime(timestamp):
                starts = self._places(FragmentStarted)
                times = ((place, start.fragment.server_timestamp or 0.0) for place, start in starts)
                holding = [place for place, time in times if time <= timestamp]
                return holding[-1] if holding else 0

    def _places(self, kind: type[Any]) -> Iterable[tuple[int, Any]]:
        return ((at, step) for at, step in enumerate(self._script) if isinstance(step, kind))


class ScriptedSink:
    """A data stream that acknowledges at once, or not at all while held."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.failure: Exception | None = None  # raised by the next put
        self._acknowledging = asyncio.Event()
        self._acknowledging.set()
        self._open: dict[int, tuple[Delivered, deque[Entry]]] = {}

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(entry.data) for entry in self.entries]

    def hold(self) -> None:
        """Store records, acknowledge nothing."""
        self._acknowledging.clear()

    def release(self) -> None:
        """Acknowledge what was held, and everything from now on."""
        self._acknowledging.set()
        for delivered, waiting in self._open.values():
            entries = list(waiting)
            waiting.clear()
            delivered(entries)

    @asynccontextmanager
    async def opened(
        self, delivered: Delivered, before_send: BeforeSend
    ) -> AsyncIterator[RecordSink]:
        waiting: deque[Entry] = deque()
        self._open[id(waiting)] = (delivered, waiting)
        try:
            yield _OpenSink(self, delivered, before_send, waiting)
        finally:
            del self._open[id(waiting)]

    def take(self, entry: Entry, delivered: Delivered, waiting: deque[Entry]) -> None:
        if self.failure is not None:
            raise self.failure
        self.entries.append(entry)
        if self._acknowledging.is_set():
            delivered([entry])
        else:
            waiting.append(entry)

    async def acknowledging(self) -> None:
        await self._acknowledging.wait()


class _OpenSink:
    def __init__(
        self,
        sink: ScriptedSink,
        delivered: Delivered,
        before_send: BeforeSend,
        waiting: deque[Entry],
    ) -> None:
        self._sink = sink
        self._delivered = delivered
        self._before_send = before_send
        self._waiting = waiting

    async def put(self, entry: Entry) -> None:
        await self._before_send()
        self._sink.take(entry, self._delivered, self._waiting)

    async def drain(self) -> None:
        if self._waiting:
            await self._sink.acknowledging()


class ScriptedWorld:
    """A World of one video stream and one data stream, whatever the processor says.

    engine finds the faces, none if it is None; people are the faces of every collection:
    external image ids by the place of the largest value in the embedding (engines/fake.py).
    """

    def __init__(
        self, engine: FaceEngine | None = None, people: Mapping[int, str] | None = None
    ) -> None:
        self.stream = ScriptedStream()
        self.data = ScriptedSink()
        self.open = 0  # parts that are open at present
        self.prepared = asyncio.Event()  # it is not ready while it is clear
        self.prepared.set()
        self.gate = asyncio.Event()  # opening waits while it is clear
        self.gate.set()
        self.closing = asyncio.Event()  # closing waits while it is clear
        self.closing.set()
        self.reports: dict[Part, Report] = {}
        self.analysed = asyncio.Event()  # analysis waits while it is clear
        self.analysed.set()
        self._engine = engine
        self._people = people or {}
        self._failures: dict[Part, deque[Exception]] = {
            "source": deque(), "sink": deque(), "faces": deque()
        }  # fmt: skip

    @property
    def analyser(self) -> "ScriptedWorld":
        return self

    def fail(self, part: Part, *errors: Exception) -> None:
        """Opening this part raises these, one each time, before it goes well."""
        self._failures[part].extend(errors)

    def view(self, owner: str) -> "ScriptedWorld":
        return self

    async def analyse(self, image: Image, timestamp_s: float) -> list[Face]:
        await self.analysed.wait()
        if self._engine is None:
            return []
        return (await asyncio.to_thread(self._engine.analyse, [image]))[0]

    async def search_all(self, embeddings: Sequence[Embedding]) -> list[Sequence[Match]]:
        return [self._matches(embedding) for embedding in embeddings]

    def _matches(self, embedding: Embedding) -> Sequence[Match]:
        name = self._people.get(int(np.argmax(embedding)))
        if name is None:
            return ()
        box = BoundingBox(0.25, 0.25, 0.5, 0.5)
        face_id = "00000000-0000-4000-8000-000000000000"
        return [Match(IndexedFace(face_id, face_id, name, box, 99.0, "1.16"), 100.0)]

    async def ready(self, report: Report) -> None:
        report("Not ready.")
        await self.prepared.wait()
        report("")

    @asynccontextmanager
    async def source(self, spec: ProcessorSpec, report: Report) -> AsyncIterator[MediaSource]:
        async with self._part("source", report):
            yield self.stream

    @asynccontextmanager
    async def sink(
        self, spec: ProcessorSpec, delivered: Delivered, report: Report, before_send: BeforeSend
    ) -> AsyncIterator[RecordSink]:
        async with self._part("sink", report), self.data.opened(delivered, before_send) as sink:
            yield sink

    @asynccontextmanager
    async def faces(self, spec: ProcessorSpec) -> AsyncIterator[FaceSearch]:
        async with self._part("faces"):
            yield self

    @asynccontextmanager
    async def _part(self, part: Part, report: Report | None = None) -> AsyncIterator[None]:
        await self.gate.wait()
        if self._failures[part]:
            raise self._failures[part].popleft()
        if report is not None:
            self.reports[part] = report
        self.open += 1
        try:
            yield
        finally:
            await self.closing.wait()
            self.open -= 1
