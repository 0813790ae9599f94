"""One running processor: read, decode, sample | analyse, search, write the record | keep how
far it came.

Lossy before analysis, lossless after it: a full queue makes the reader wait, a full sink makes
analysis wait. Knows nothing of states or of who started it.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from streamproc.clock import Clock
from streamproc.decode.picture_size import PIXELS_MAX
from streamproc.model.arn import stream_processor_arn
from streamproc.model.face import Face, Match
from streamproc.model.media import Frame
from streamproc.model.position import StartAt, StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry, build_record, encode_record
from streamproc.processor.blindness import BlindnessWatch
from streamproc.processor.governor import Governor
from streamproc.processor.keeper import CheckpointKeeper, SaveCheckpoint
from streamproc.processor.pace import Pace, RatePolicy
from streamproc.processor.ports import (
    FaceSearch,
    MediaSource,
    RecordSink,
    Unwatched,
    Watcher,
    World,
)
from streamproc.processor.reader import FrameReader
from streamproc.processor.recognition import Recognition
from streamproc.processor.scopes import abandoned_when
from streamproc.processor.silence import SilenceWatch
from streamproc.processor.view import Counters, Notices
from streamproc.settings import ProcessorsConfig


@dataclass(frozen=True, slots=True)
class Shared:
    """What all processors of a daemon have in common."""

    world: World
    config: ProcessorsConfig
    partition_key: Literal["processor", "random"]
    threads: Executor  # decoding happens here
    governor: Governor  # of how many frames are analysed
    clock: Clock
    roll: Callable[[], float]  # chance, 0 to 1, for back-off
    account_id: str = "000000000000"
    pixels_max: int = PIXELS_MAX  # of a picture that is decoded
    watcher: Watcher = field(default_factory=Unwatched)


class Pipeline:
    """Runs once, from a start position until it is told to stop.

    sampled_at is the media time of the frame sampled last, where this goes on with what an
    earlier run began: it then samples what that one would have at the full rate.
    """

    def __init__(
        self,
        spec: ProcessorSpec,
        shared: Shared,
        position: StartPosition,
        counters: Counters,
        save_checkpoint: SaveCheckpoint,
        notices: Notices,
        sampled_at: float | None = None,
    ) -> None:
        self._spec = spec
        self._shared = shared
        self._position = position
        self._counters = counters
        self._notices = notices
        self._arn = stream_processor_arn(spec.region, shared.account_id, spec.name)
        config, clock = shared.config, shared.clock
        self._keeper = CheckpointKeeper(
            save_checkpoint, clock, shared.roll, notices.slot("checkpoint"), sampled_at
        )
        self.before_send = self._keeper.before_send
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue(config.frames_queued_max)
        policy = RatePolicy.within(config.analysis_fps, config.analysis_fps_min, config.lag_max_s)
        self._reader = FrameReader(
            self._frames.put,
            self._frames.join,
            Pace(policy, config.lag_max_s, has_backlog=position is not StartAt.NOW),
            shared.governor,
            "/".join(spec.key),
            self._keeper.tracker,
            counters,
            shared.threads,
            clock,
            notices.slot("pace"),
            SilenceWatch(
                config.silence_s, clock, notices.slot("silence", instead_of=("pace", "sight"))
            ),
            BlindnessWatch(config.silence_s, counters, notices.slot("sight", instead_of=("pace",))),
            sampled_at,
            pixels_max=shared.pixels_max,
        )

    def delivered(self, entries: Sequence[Entry]) -> None:
        """The data stream has these; the sink calls it, in order."""
        self._counters.records_delivered_total += len(entries)
        self._keeper.tracker.acknowledged(len(entries))

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
            keeping = tasks.create_task(self._keeper.run())
            await stop.wait()
            reading.cancel()
            await asyncio.wait([reading])
            async with abandoned_when(clock.sleep(self._shared.config.stop_timeout_s)):
                self._end_of_frames()
                await asyncio.wait([analysing])
                await sink.drain()
            analysing.cancel()
            keeping.cancel()
        await self._keeper.finish()

    async def _analyse(self, sink: RecordSink, faces: FaceSearch) -> None:
        shared = self._shared
        recognition = Recognition(
            shared.world.analyser, faces, "/".join(self._spec.key), shared.clock, shared.roll,
            self._notices.slot("analysis"),
        )  # fmt: skip
        told = self._notices.slot("events")
        while (frame := await self._frames.get()) is not None:
            self._counters.frames_in_hand = 1
            matched = await recognition.of(frame)
            record = build_record(self._spec.video_stream_arn, self._arn, frame, matched)
            self._count(matched)
            await shared.watcher.seen(self._spec, frame, matched, told)
            await sink.put(Entry(encode_record(record), self._key()))
            self._counters.frames_in_hand = 0
            self._frames.task_done()

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
