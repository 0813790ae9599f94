"""From a video stream to records, on the real decoder: what comes out, and what never goes
missing."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import pytest

from streamproc.clock import SystemClock
from streamproc.engines.fake import FakeEngine
from streamproc.errors import MediaError, PermanentFailure, UnsupportedCodec
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
    Packet,
    Track,
    TrackKind,
)
from streamproc.model.position import StartAt, StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.processor import reader
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.governor import Governor
from streamproc.processor.pipeline import Pipeline, Shared
from streamproc.processor.view import Counters, Notices
from streamproc.settings import ProcessorsConfig

Camera: TypeAlias = Callable[..., list[list[MediaEvent]]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.005)


@dataclass
class Bench:
    """One pipeline over a scripted world, running."""

    world: ScriptedWorld
    counters: Counters
    checkpoints: list[str] = field(default_factory=list)
    notices: Notices = field(default_factory=Notices)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def film(self, *fragments: list[MediaEvent]) -> None:
        for fragment in fragments:
            await self.world.stream.append(*fragment)

    async def records(self, count: int) -> list[dict[str, Any]]:
        await until(lambda: len(self.world.data.entries) >= count)
        return self.world.data.records

    async def finish(self) -> None:
        self.stop.set()
        assert self.task is not None
        await self.task


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def running(spec: ProcessorSpec, threads: ThreadPoolExecutor) -> Callable[..., Any]:
    @asynccontextmanager
    async def start(
        world: ScriptedWorld | None = None,
        partition_key: Literal["processor", "random"] = "processor",
        position: StartPosition = StartAt.EARLIEST,
        governor: Governor | None = None,
        **settings: Any,
    ) -> AsyncIterator[Bench]:
        world = world or ScriptedWorld(FakeEngine(), people={1: "alice"})
        config = ProcessorsConfig(**settings)
        governor = governor or Governor(config.analysis_fps, config.analysis_fps_min)
        shared = Shared(world, config, partition_key, threads, governor, SystemClock(), lambda: 1.0)
        bench = Bench(world, Counters())

        async def save(checkpoint: Checkpoint) -> None:
            bench.checkpoints.append(checkpoint.number)

        pipeline = Pipeline(spec, shared, position, bench.counters, save, bench.notices)
        async with world.sink(spec, pipeline.delivered, print, pipeline.before_send) as sink:
            bench.task = asyncio.create_task(pipeline.run(world.stream, sink, world, bench.stop))
            try:
                yield bench
            finally:
                bench.task.cancel()
                await asyncio.gather(bench.task, return_exceptions=True)

    return start


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SILENCE_S", 0.05)


def offsets(records: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """(fragment number, offset in milliseconds) of each record"""
    videos = [record["InputInformation"]["KinesisVideo"] for record in records]
    return [
        (video["FragmentNumber"], round(video["FrameOffsetInSeconds"] * 1000)) for video in videos
    ]


EVERY_200_MS = [0, 200, 400, 600, 800]


async def test_each_sampled_frame_becomes_one_record(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running() as bench:
        await bench.film(*camera(3))
        records = await bench.records(15)
        await until(lambda: bench.counters.frames_decoded_total == 30)
        await bench.finish()
    assert offsets(records) == [(n, ms) for n in ("1", "2", "3") for ms in EVERY_200_MS]
    video = records[5]["InputInformation"]["KinesisVideo"]
    assert video["ServerTimestamp"] == video["ProducerTimestamp"] == 1_700_000_001.0
    for index, record in enumerate(records):
        (face,) = record["FaceSearchResponse"]
        names = [match["Face"]["ExternalImageId"] for match in face["MatchedFaces"]]
        assert names == (["alice"] if index < 5 else [])
    counters = bench.counters
    assert counters.frames_decoded_total == 30
    assert counters.frames_sampled_total == counters.frames_analysed_total == 15
    assert counters.records_total == counters.records_delivered_total == counters.faces_total == 15
    assert counters.matches_total == 5


async def test_a_frame_without_faces_is_a_record_too(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(ScriptedWorld()) as bench:
        await bench.film(*camera(1))
        records = await bench.records(5)
    assert [record["FaceSearchResponse"] for record in records] == [[]] * 5


async def test_records_leave_before_their_fragment_ends(
    running: Callable[..., Any], camera: Camera
) -> None:
    (fragment,) = camera(1)
    async with running() as bench:
        await bench.film(fragment[:6])  # five of its frames
        assert offsets(await bench.records(3)) == [("1", 0), ("1", 200), ("1", 400)]
        assert bench.checkpoints == []


async def test_a_frame_waits_for_no_later_packet(
    running: Callable[..., Any], camera: Camera
) -> None:
    (fragment,) = camera(1, fps=30)
    async with running() as bench:
        await bench.film(fragment[:8])  # the frame at 200 ms is the last of them
        assert offsets(await bench.records(2)) == [("1", 0), ("1", 200)]


@pytest.mark.parametrize("b_frames", [0, 2, 3])
async def test_packets_that_are_decoded_together_give_the_same_records(
    running: Callable[..., Any], camera: Camera, b_frames: int
) -> None:
    async with running() as bench:
        await bench.film(*camera(4, fps=30, b_frames=b_frames), [FragmentFailed("5", 3002, "")])
        records = await bench.records(20)
        await until(lambda: bench.counters.frames_decoded_total == 120)
    assert offsets(records) == [(str(n), ms) for n in range(1, 5) for ms in EVERY_200_MS]


@pytest.mark.parametrize("b_frames", [0, 2])
async def test_at_a_reduced_rate_nothing_but_keyframes_is_decoded_where_they_suffice(
    running: Callable[..., Any], camera: Camera, b_frames: int
) -> None:
    async with running(analysis_fps=2.0, governor=Governor(1.0, 1.0)) as bench:
        *whole, last = camera(5, start=4e9, b_frames=b_frames)  # live: behind the start
        await bench.film(*whole, last[:2])
        records = await bench.records(5)
        assert offsets(records) == [(str(number), 0) for number in range(1, 6)]
        await until(lambda: bench.counters.packets_passed_over_total == 3 * 9)
        await until(lambda: bench.counters.frames_decoded_total >= 10 + 4)  # told behind records
        assert bench.counters.frames_decoded_total == 10 + 4
        assert bench.counters.packets_undecodable_total == 0
        assert bench.counters.gaps_total == 0


async def test_where_more_is_analysed_than_keyframes_come_every_packet_is_decoded(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(analysis_fps=2.0) as bench:
        await bench.film(*camera(4, fps=2), *camera(4, first=5, start=1_700_000_004.0))
        records = await bench.records(16)
        assert offsets(records) == [
            (str(number), offset) for number in range(1, 9) for offset in (0, 500)
        ]
        assert bench.counters.packets_passed_over_total == 0


@pytest.mark.usefixtures("short_silence")
async def test_a_stream_that_pauses_keeps_no_frame_back(
    running: Callable[..., Any], camera: Camera
) -> None:
    """B-frames stay in the decoder until more comes; here nothing does."""
    async with running() as bench:
        await bench.film(*camera(2, b_frames=2))
        records = await bench.records(10)
        await until(lambda: bench.checkpoints[-1:] == ["2"])
    assert offsets(records) == [(n, ms) for n in ("1", "2") for ms in EVERY_200_MS]


@pytest.mark.usefixtures("short_silence")
async def test_it_goes_on_after_a_pause(running: Callable[..., Any], camera: Camera) -> None:
    first, second = camera(2, b_frames=2)
    async with running() as bench:
        await bench.film(first)
        await until(lambda: bench.checkpoints == ["1"])
        await bench.film(second)
        records = await bench.records(10)
    assert offsets(records)[5:] == [("2", ms) for ms in EVERY_200_MS]


@pytest.mark.usefixtures("short_silence")
async def test_the_checkpoint_waits_for_the_data_stream(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running() as bench:
        bench.world.data.hold()
        await bench.film(*camera(2))
        await bench.records(10)
        await asyncio.sleep(0.1)  # longer than the silence: everything but the data stream is done
        assert bench.checkpoints == []
        bench.world.data.release()
        await until(lambda: bench.checkpoints[-1:] == ["2"])


async def test_slow_analysis_holds_the_source_back_and_loses_nothing(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(analysis_fps=10.0, frames_queued_max=2) as bench:
        bench.world.analysed.clear()
        await bench.film(*camera(6))
        # One in analysis, two queued, one that waits for the queue.
        await until(lambda: bench.counters.frames_sampled_total == 4)
        await asyncio.sleep(0.05)
        assert bench.counters.frames_sampled_total == 4
        bench.world.analysed.set()
        records = await bench.records(60)
    assert offsets(records) == [(str(n), ms) for n in range(1, 7) for ms in range(0, 1000, 100)]


async def test_a_fragment_delivered_twice_is_recorded_once(
    running: Callable[..., Any], camera: Camera
) -> None:
    one, two = camera(2)
    async with running() as bench:
        await bench.film(one[:6], [FragmentEnded("1", complete=False)], one, two)
        records = await bench.records(10)
        await bench.finish()
    assert offsets(records) == [(n, ms) for n in ("1", "2") for ms in EVERY_200_MS]


async def test_a_fragment_that_is_given_up_does_not_hold_the_checkpoint(
    running: Callable[..., Any], camera: Camera
) -> None:
    one, two, three = camera(3)
    async with running() as bench:
        await bench.film(one[:6], [FragmentEnded("1", complete=False)], two, three[:3])
        await until(lambda: bench.checkpoints == ["2"])


async def test_a_change_of_resolution_is_followed(
    running: Callable[..., Any], camera: Camera
) -> None:
    large, small = camera(1, size=192), camera(1, first=2, start=1_700_000_001.0, size=96)
    async with running() as bench:
        await bench.film(*large, *small)
        records = await bench.records(10)
    widths = [
        round(record["FaceSearchResponse"][0]["DetectedFace"]["BoundingBox"]["Width"], 2)
        for record in records
    ]
    assert widths == pytest.approx([0.25] * 5 + [0.5] * 5, abs=0.03)


async def test_damage_is_counted_and_passed(running: Callable[..., Any], camera: Camera) -> None:
    one, _, three = camera(3)
    packet = one[4]
    assert isinstance(packet, Packet)
    one[4] = replace(packet, payload=b"\x00\x00\x00\x01\x65" + bytes(40))
    failed = FragmentFailed("2", 4006, "FRAGMENT_UNAVAILABLE")
    async with running() as bench:
        await bench.film(one, [failed], three)
        await until(lambda: ("3", 800) in offsets(bench.world.data.records))
    counters = bench.counters
    assert counters.fragments_failed_total == 1
    assert counters.frames_corrupt_total + counters.packets_undecodable_total >= 1


@pytest.mark.parametrize(
    ("track", "error", "words"),
    [
        (Track(1, TrackKind.AUDIO, "A_AAC"), MediaError, "no video track"),
        (Track(1, TrackKind.VIDEO, "V_VP9"), UnsupportedCodec, "V_VP9"),
    ],
)
async def test_media_that_can_never_be_watched_ends_the_run(
    running: Callable[..., Any], track: Track, error: type[Exception], words: str
) -> None:
    started = FragmentStarted(Fragment("1", 0.0, 0.0, 0, (track,)))
    async with running() as bench:
        await bench.film([started])
        with pytest.raises(ExceptionGroup) as caught:
            await bench.task
    (cause,) = caught.value.exceptions
    assert isinstance(cause, error)
    assert words in str(cause)


async def test_a_source_that_fails_for_good_ends_the_run(running: Callable[..., Any]) -> None:
    async with running() as bench:
        await bench.world.stream.append(PermanentFailure("Stream door doesn't exist"))
        with pytest.raises(ExceptionGroup) as caught:
            await bench.task
    assert str(caught.value.exceptions[0]) == "Stream door doesn't exist"


async def test_a_data_stream_that_fails_for_good_ends_the_run(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running() as bench:
        bench.world.data.failure = PermanentFailure("Access denied to Kinesis Data")
        await bench.film(*camera(1))
        with pytest.raises(ExceptionGroup) as caught:
            await bench.task
    assert str(caught.value.exceptions[0]) == "Access denied to Kinesis Data"


async def test_stopping_delivers_what_was_analysed(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(analysis_fps=10.0) as bench:
        bench.world.analysed.clear()
        await bench.film(*camera(2))
        await until(lambda: bench.counters.frames_sampled_total > 2)
        bench.stop.set()
        for _ in range(100):  # rounds of the loop, however long each takes
            await asyncio.sleep(0)
        bench.world.analysed.set()
        await bench.task
    # The frame that was being analysed; those behind it had not been begun.
    assert offsets(bench.world.data.records) == [("1", 0)]
    assert bench.counters.records_undelivered == 0


async def test_stopping_ends_even_if_the_data_stream_never_answers(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(stop_timeout_s=0.05) as bench:
        bench.world.data.hold()
        await bench.film(*camera(1))
        await bench.records(5)
        await bench.finish()
    assert bench.counters.records_undelivered == 5
    assert bench.checkpoints == []


async def test_the_last_checkpoint_is_saved_at_the_end(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running() as bench:
        await bench.film(*camera(4))
        await bench.records(20)
        await bench.finish()
    assert bench.checkpoints[-1] == "3"  # the decoder might have held a frame of the fourth


async def test_hopelessly_behind_it_jumps_to_live_and_says_so(
    running: Callable[..., Any], camera: Camera
) -> None:
    relieved = threading.Event()

    def slowly(_: object) -> None:
        relieved.wait(0.15)

    world = ScriptedWorld(FakeEngine(before=slowly))
    settings = {"analysis_fps": 10.0, "analysis_fps_min": 10.0, "lag_max_s": 0.3}
    async with running(world, position=StartAt.NOW, frames_queued_max=1, **settings) as bench:
        await until(lambda: world.stream.positions == [StartAt.NOW])
        await bench.film(*camera(5))
        await until(lambda: bench.counters.gaps_total == 1)
        await until(lambda: world.stream.positions == [StartAt.NOW, StartAt.NOW])
        assert "Video was skipped" in bench.notices.text
        assert bench.counters.gap_s_total > 0.3
        relieved.set()
        await bench.film(*camera(1, first=9, start=1_700_000_060.0))
        await until(lambda: ("9", 0) in offsets(world.data.records))


async def test_a_backlog_is_read_whole_however_slow_the_machine(
    running: Callable[..., Any], camera: Camera
) -> None:
    def slowly(_: object) -> None:
        threading.Event().wait(0.05)

    world = ScriptedWorld(FakeEngine(before=slowly))
    settings = {"analysis_fps": 30.0, "analysis_fps_min": 1.0, "lag_max_s": 0.01}
    async with running(world, frames_queued_max=1, **settings) as bench:
        await bench.film(*camera(3, fps=30))
        records = await bench.records(90)
    assert len(set(offsets(records))) == 90
    assert bench.counters.gaps_total == 0


async def test_random_partition_keys_differ_and_the_usual_one_keeps_order(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(partition_key="random") as bench:
        await bench.film(*camera(1))
        await bench.records(5)
        keys = {entry.partition_key for entry in bench.world.data.entries}
    assert len(keys) == 5
    async with running() as bench:
        await bench.film(*camera(1))
        await bench.records(5)
        keys = {entry.partition_key for entry in bench.world.data.entries}
    assert keys == {"door"}


async def test_cancelling_leaves_nothing_behind(
    running: Callable[..., Any], camera: Camera
) -> None:
    before = asyncio.all_tasks()
    async with running() as bench:
        await bench.film(*camera(1))
        await bench.records(1)
        bench.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await bench.task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


# --- a source that misbehaves --------------------------------------------------------------


async def test_silence_is_told_while_running_and_taken_back(
    running: Callable[..., Any], camera: Camera
) -> None:
    async with running(silence_s=0.05) as bench:
        await until(lambda: "No video has come for" in bench.notices.text)
        await bench.film(*camera(1))
        await bench.records(5)
        await until(lambda: "No video has come for" in bench.notices.text)


async def test_fragments_that_come_again_are_recorded_once(
    running: Callable[..., Any], camera: Camera
) -> None:
    one, two, three = camera(3)
    async with running() as bench:
        await bench.film(one, two, one, two, two, three)
        await until(lambda: ("3", 800) in offsets(bench.world.data.records))
        await bench.finish()
    assert offsets(bench.world.data.records) == [
        (n, ms) for n in ("1", "2", "3") for ms in EVERY_200_MS
    ]
    assert bench.checkpoints[-1] == "2"


async def test_the_same_number_on_other_media_is_another_fragment(
    running: Callable[..., Any], camera: Camera
) -> None:
    """As when a stream was deleted and made anew."""
    async with running() as bench:
        await bench.film(*camera(2), *camera(2, start=1_700_000_100.0))
        records = await bench.records(20)
    assert offsets(records) == [(n, ms) for n in ("1", "2") for ms in EVERY_200_MS] * 2


async def test_fragments_that_are_missing_are_passed(
    running: Callable[..., Any], camera: Camera
) -> None:
    one, _, three = camera(3)
    async with running() as bench:
        await bench.film(one, three)
        records = await bench.records(10)
    assert offsets(records) == [(n, ms) for n in ("1", "3") for ms in EVERY_200_MS]


@pytest.mark.usefixtures("short_silence")
async def test_a_fragment_that_comes_late_is_recorded_and_a_crash_would_not_miss_it(
    running: Callable[..., Any], camera: Camera
) -> None:
    one, two, three = camera(3)
    async with running() as bench:
        await bench.film(one, three)
        await until(lambda: bench.checkpoints[-1:] == ["3"])
        bench.world.data.hold()
        await bench.film(two)
        await until(lambda: bench.checkpoints[-1:] == ["1"])
        bench.world.data.release()
        await until(lambda: bench.checkpoints[-1:] == ["2"])
    assert offsets(bench.world.data.records) == [
        (n, ms) for n in ("1", "3", "2") for ms in EVERY_200_MS
    ]


@pytest.mark.parametrize("jump_s", [-86_400.0, -0.4, 86_400.0])
async def test_a_producer_that_starts_again_with_another_clock_is_sampled_on(
    running: Callable[..., Any], camera: Camera, jump_s: float
) -> None:
    before = camera(2)
    after = camera(2, first=3, start=1_700_000_002.0 + jump_s)
    async with running() as bench:
        await bench.film(*before, *after)
        records = await bench.records(19)
    found = offsets(records)
    assert found[:10] == [(n, ms) for n in ("1", "2") for ms in EVERY_200_MS]
    # The clock may have stepped into the slot that was sampled last.
    assert {("3", 200), ("4", 0), ("4", 600)} <= set(found)
    assert bench.counters.gaps_total == 0


class SteppedClock(SystemClock):
    """A machine whose clock is set while it runs."""

    step_s = 0.0

    def now(self) -> float:
        return super().now() + self.step_s


@pytest.mark.parametrize("step_s", [-7200.0, 7200.0])
async def test_a_machine_whose_clock_is_set_goes_on_at_its_rate(
    spec: ProcessorSpec, threads: ThreadPoolExecutor, camera: Camera, step_s: float
) -> None:
    world, clock, stop = ScriptedWorld(FakeEngine()), SteppedClock(), asyncio.Event()
    notices, counters = Notices(), Counters()
    governor = Governor(5.0, 1.0)
    shared = Shared(world, ProcessorsConfig(), "processor", threads, governor, clock, lambda: 1.0)

    async def save(_: Checkpoint) -> None:
        pass

    pipeline = Pipeline(spec, shared, StartAt.EARLIEST, counters, save, notices)
    async with world.sink(spec, pipeline.delivered, print, pipeline.before_send) as sink:
        task = asyncio.create_task(pipeline.run(world.stream, sink, world, stop))
        for fragment in camera(2, start=clock.now()):
            await world.stream.append(*fragment)
        await until(lambda: len(world.data.entries) >= 9)
        clock.step_s = step_s
        for fragment in camera(2, first=3, start=clock.now()):
            await world.stream.append(*fragment)
        await until(lambda: len(world.data.entries) >= 18)
        stop.set()
        await task
    assert counters.gaps_total == 0
    assert counters.fps == 5.0
    assert notices.text == ""
