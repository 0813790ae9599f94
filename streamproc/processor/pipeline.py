"""One running processor: read, decode, sample | analyse, search, write the record | keep how
far it came.

Lossy before analysis, lossless after it: a full queue makes the reader wait, a full sink makes
analysis wait. Knows nothing of states or of who started it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import uuid4

from streamproc.clock import Clock
from streamproc.model.face import Face, Match
from streamproc.model.media import Frame
from streamproc.model.position import StartAt, StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry, build_record, encode_record
from streamproc.processor.checkpoint import CheckpointTracker
from streamproc.processor.pace import Pace, RatePolicy
from streamproc.processor.ports import FaceSearch, MediaSource, RecordSink, Report, World
from streamproc.processor.reader import FrameReader
from streamproc.processor.scopes import abandoned_when
from streamproc.processor.view import Counters
from streamproc.settings import ProcessorsConfig

CHECKPOINT_S_MIN = 0.5
"""Pause between two saves of the checkpoint. What comes after a saved one is read again after
a crash, so this costs at most half a second of repeated records."""

SaveCheckpoint: TypeAlias = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all processors of a daemon have in common."""

    world: World
    config: ProcessorsConfig
    partition_key: Literal["processor", "random"]
    threads: Executor  # decoding happens here
    clock: Clock
    roll: Callable[[], float]  # chance, 0 to 1, for back-off


class Pipeline:
    """Runs once, from a start position until it is told to stop."""

    def __init__(
        self,
        spec: ProcessorSpec,
        shared: Shared,
        position: StartPosition,
        counters: Counters,
        save_checkpoint: SaveCheckpoint,
        report: Report,
    ) -> None:
        self._spec = spec
        self._shared = shared
        self._position = position
        self._counters = counters
        self._save_checkpoint = save_checkpoint
        self._progress = asyncio.Event()
        self._tracker = CheckpointTracker(advanced=self._progress.set)
        self._saved: str | None = None
        config, clock = shared.config, shared.clock
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue(config.frames_queued_max)
        policy = RatePolicy.within(config.analysis_fps, config.analysis_fps_min, config.lag_max_s)
        pace = Pace(policy, config.lag_max_s, has_backlog=position is not StartAt.NOW)
        self._reader = FrameReader(
            self._frames.put, pace, self._tracker, counters, shared.threads, clock, report
        )

    def delivered(self, entries: Sequence[Entry]) -> None:
        """The data stream has these; the sink calls it, in order."""
        self._counters.records_delivered_total += len(entries)
        self._tracker.acknowledged(len(entries))

    async def run(
        self,
        source: MediaSource,
        sink: RecordSink,
        faces: FaceSearch,
        stop: asyncio.Event,
    ) -> None:
        """Run until stop is set, then deliver what was analysed, for stop_timeout_s at most.

        Raises an ExceptionGroup of what went wrong in its parts.
        """
        clock = self._shared.clock
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._reader.run(source, self._position))
            analysing = tasks.create_task(self._analyse(sink, faces))
            keeping = tasks.create_task(self._keep_checkpoint())
            await stop.wait()
            reading.cancel()
            await asyncio.wait([reading])
            async with abandoned_when(clock.sleep(self._shared.config.stop_timeout_s)):
                self._end_of_frames()
                await asyncio.wait([analysing])
                await sink.drain()
            analysing.cancel()
            keeping.cancel()
        await self._save_progress()

    async def _analyse(self, sink: RecordSink, faces: FaceSearch) -> None:
        analyser, owner = self._shared.world.analyser, "/".join(self._spec.key)
        while (frame := await self._frames.get()) is not None:
            found = await analyser.analyse(frame.image, owner)
            matched = [(face, await _search(faces, face)) for face in found]
            record = build_record(self._spec.video_stream_arn, frame, matched)
            self._count(matched)
            await sink.put(Entry(encode_record(record), self._key()))

    def _count(self, matched: Sequence[tuple[Face, Sequence[Match]]]) -> None:
        self._counters.frames_analysed_total += 1
        self._counters.faces_total += len(matched)
        self._counters.matches_total += sum(1 for _, matches in matched if matches)
        self._counters.records_total += 1

    def _key(self) -> str:
        return self._spec.name if self._shared.partition_key == "processor" else str(uuid4())

    def _end_of_frames(self) -> None:
        """Frames that wait for analysis are given up; the one in analysis becomes a record."""
        while not self._frames.empty():
            self._frames.get_nowait()
        self._frames.put_nowait(None)

    async def _keep_checkpoint(self) -> None:
        while True:
            await self._progress.wait()
            self._progress.clear()
            await self._save_progress()
            await self._shared.clock.sleep(CHECKPOINT_S_MIN)

    async def _save_progress(self) -> None:
        number = self._tracker.position
        if number is not None and number != self._saved:
            await self._save_checkpoint(number)
            self._saved = number


async def _search(faces: FaceSearch, face: Face) -> Sequence[Match]:
    return () if face.embedding is None else await faces.search(face.embedding)
