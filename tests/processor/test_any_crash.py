"""Killed between any two things that it does, a processor loses nothing, keeps the order, and
repeats records of one fragment at most."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import pytest

from streamproc.clock import SystemClock
from streamproc.engines.fake import FakeEngine
from streamproc.model.media import FragmentEnded, MediaEvent
from streamproc.model.position import AfterFragment, StartAt, StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.governor import Governor
from streamproc.processor.pipeline import Pipeline, Shared
from streamproc.processor.view import Counters, Notices
from streamproc.settings import ProcessorsConfig, SinkConfig
from streamproc.sink.kinesis import KinesisSink

Camera: TypeAlias = Callable[..., list[list[MediaEvent]]]


@dataclass
class Life:
    """Ends at the n-th step: from there on nothing that the world would see happens any more."""

    steps_left: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    taken: int = 0

    async def step(self) -> None:
        self.taken += 1
        if self.taken > self.steps_left:
            self.over.set()
            await asyncio.Event().wait()


@dataclass
class Outside:
    """What outlives a crash: the video, what the data stream has, what is on disk."""

    script: Sequence[MediaEvent]
    stored: list[dict[str, Any]] = field(default_factory=list)
    saved: Checkpoint | None = None
    life: Life = field(default_factory=lambda: Life(float("inf")))

    async def events(self, position: StartPosition) -> AsyncGenerator[MediaEvent, None]:
        begin = 0
        if isinstance(position, AfterFragment):
            ends = [FragmentEnded(position.number, complete=True), *self.script]
            begin = len(self.script) - ends[::-1].index(ends[0])
        for event in self.script[begin:]:
            await self.life.step()
            yield event

    async def put_records(self, *, StreamARN: str, Records: list[Any]) -> dict[str, Any]:
        await self.life.step()
        self.stored += [json.loads(record["Data"]) for record in Records]
        await self.life.step()
        return {"Records": [{"SequenceNumber": "1"} for _ in Records]}

    async def save(self, checkpoint: Checkpoint) -> None:
        await self.life.step()
        self.saved = checkpoint
        await self.life.step()


Watch: TypeAlias = Callable[..., Any]


@pytest.fixture
def watch(spec: ProcessorSpec) -> Iterator[Watch]:
    """One life of a processor, from where the last one came to."""
    with ThreadPoolExecutor(1) as threads:

        async def run(
            outside: Outside, life: Life, analysis_fps: float,
            partition_key: Literal["processor", "random"] = "processor",
        ) -> None:  # fmt: skip
            outside.life = life
            world = ScriptedWorld(FakeEngine())
            config = ProcessorsConfig(analysis_fps=analysis_fps, analysis_fps_min=analysis_fps)
            clock = SystemClock()
            governor = Governor(analysis_fps, analysis_fps)
            shared = Shared(world, config, partition_key, threads, governor, clock, lambda: 0.0)
            saved = outside.saved
            position = StartAt.EARLIEST if saved is None else AfterFragment(saved.number)
            pipeline = Pipeline(
                spec, shared, position, Counters(), outside.save, Notices(),
                saved.sampled_at if saved is not None else None,
            )  # fmt: skip
            sink_config = SinkConfig(partition_key=partition_key, wait_ms_max=0.0)
            async with asyncio.timeout(60), KinesisSink(
                outside, spec.data_stream_arn, sink_config, pipeline.delivered, print,
                clock, before_send=pipeline.before_send,
            ) as sink:  # fmt: skip
                stop, counters = asyncio.Event(), pipeline._counters
                running = asyncio.create_task(pipeline.run(outside, sink, world, stop))
                ended = asyncio.create_task(life.over.wait())
                while not ended.done() and not (
                    _is_through(pipeline._keeper.tracker.position or saved)
                    and not counters.records_undelivered
                ):
                    await asyncio.wait([running, ended], timeout=0.002)
                    assert not running.done(), running
                if not ended.done():
                    stop.set()
                    await running
                running.cancel()
                ended.cancel()
                await asyncio.gather(running, ended, return_exceptions=True)

        yield run


def _is_through(position: Checkpoint | None) -> bool:
    return position is not None and position.number == "5"


def identities(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(fragment number, record id)"""
    videos = [record["InputInformation"]["KinesisVideo"] for record in records]
    return [
        (video["FragmentNumber"], record["RecordId"])
        for video, record in zip(videos, records, strict=True)
    ]


def cut(fragment: list[MediaEvent]) -> list[MediaEvent]:
    """The fragment's beginning, then the whole of it, as after a connection broke."""
    end = fragment[-1]
    assert isinstance(end, FragmentEnded)
    return [*fragment[:4], FragmentEnded(end.number, complete=False), *fragment]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    "analysis_fps",
    [1.6, pytest.param(0.4, id="fragments in which nothing is sampled")],
)
async def test_killed_at_any_step(
    watch: Watch, camera: Camera, b_frames: int, analysis_fps: float
) -> None:
    footage = camera(5, fps=5, size=64, b_frames=b_frames)
    footage[2] = cut(footage[2])
    script = [event for fragment in footage for event in fragment]
    undisturbed, whole = Outside(script), Life(float("inf"))
    await watch(undisturbed, whole, analysis_fps)
    due = identities(undisturbed.stored)
    assert len({identity for _, identity in due}) == len(due) == {1.6: 8, 0.4: 2}[analysis_fps]
    assert whole.taken > len(script) + 2 * len(due)

    for steps in range(whole.taken):
        outside = Outside(script)
        await watch(outside, Life(steps), analysis_fps)
        await watch(outside, Life(float("inf")), analysis_fps)
        arrived = identities(outside.stored)
        # Nothing is lost, nothing is new, and the first arrivals are in their order.
        assert list(dict.fromkeys(arrived)) == due, f"killed at step {steps}"
        repeated = {number for (number, _), times in Counter(arrived).items() if times > 1}
        assert len(repeated) <= 1, f"killed at step {steps}: {arrived}"


async def test_killed_at_any_step_under_random_keys_nothing_is_lost(
    watch: Watch, camera: Camera
) -> None:
    """A request may then carry records of several fragments, and all of them come again."""
    script = [event for fragment in camera(5, fps=5, size=64) for event in fragment]
    undisturbed, whole = Outside(script), Life(float("inf"))
    await watch(undisturbed, whole, 1.6, "random")
    due = set(identities(undisturbed.stored))
    for steps in range(0, whole.taken, 3):
        outside = Outside(script)
        await watch(outside, Life(steps), 1.6, "random")
        await watch(outside, Life(float("inf")), 1.6, "random")
        assert set(identities(outside.stored)) == due, f"killed at step {steps}"
