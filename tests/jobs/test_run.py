"""One job on one video: everything is looked at, in order, within fixed bounds, and whatever
way it ends nothing of it stays open."""

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.clock import Clock, FakeClock
from streamproc.errors import MediaError, ObjectUnavailable, TransientFailure
from streamproc.jobs.fake import ScriptedJobWorld
from streamproc.jobs.run import JobRun
from streamproc.jobs.schema import OpenJob
from streamproc.jobs.store import JobStore
from streamproc.model.job import Aggregation, Item, JobSpec
from streamproc.model.video import VideoFrame, VideoMetadata
from tests.jobs.conftest import until


class Painted:
    """A StoredVideo that is made up, as long as one likes. Counts the frames that somebody
    holds and notes on which thread it was opened, stepped and closed."""

    frames_total = 20
    alive = alive_most = 0
    threads: set[int]
    niceness = 0
    opened = closed = 0
    decoding = threading.Event()  # set while a frame is being decoded
    may_decode = threading.Event()

    def __init__(self, path: Path, name: str, *, pixels_max: int) -> None:
        self.metadata = VideoMetadata("h264", "QuickTime / MOV", 2000, 10.0, 8, 8)
        self.progress = 0.0
        Painted.opened += 1
        Painted.threads.add(threading.get_ident())
        Painted.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def frames(self, fps: float) -> Iterator[VideoFrame]:
        for number in range(self.frames_total):
            Painted.threads.add(threading.get_ident())
            self.decoding.set()
            self.may_decode.wait(60)
            self.decoding.clear()
            self.progress = (number + 1) / self.frames_total
            image = np.full((8, 8, 3), number % 256, np.uint8)
            Painted.alive += 1
            weakref.finalize(image, self._gone)
            Painted.alive_most = max(Painted.alive, Painted.alive_most)
            frame = VideoFrame(number * 100, image)
            del image
            yield frame
            del frame

    @staticmethod
    def _gone() -> None:
        Painted.alive -= 1

    def close(self) -> None:
        Painted.closed += 1
        Painted.threads.add(threading.get_ident())


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> type[Painted]:
    monkeypatch.setattr("streamproc.jobs.decoding.StoredVideo", Painted)
    Painted.threads = set()
    Painted.opened = Painted.closed = Painted.alive = Painted.alive_most = 0
    Painted.frames_total = 20
    Painted.may_decode.set()
    return Painted


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[JobStore]:
    store = await JobStore.open(tmp_path / "jobs.db", clock, 1e6)
    yield store
    await store.aclose()


@pytest.fixture
async def job(store: JobStore, job_spec: JobSpec) -> OpenJob:
    job = await store.insert("a" * 64, job_spec, None, 20)
    assert isinstance(job, OpenJob)
    await store.begin(job)
    return job


@pytest.fixture
def world(clip: Path) -> ScriptedJobWorld:
    return ScriptedJobWorld({"clip.mp4": clip})


def run_of(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: Clock, frames_max: int = 4
) -> JobRun:
    return JobRun(job, world, store, clock, frames_max=frames_max, roll=lambda: 1.0)


async def found(store: JobStore, job: OpenJob) -> list[tuple[int, int]]:
    items = await store.page(
        job.id, Aggregation.TIMESTAMPS, by_key=False, offset=0, limit=10_000
    )  # fmt: skip
    return [(item["Timestamp"], item["Seen"]["Brightness"]) for item in items]


def stored_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("stored")]


async def test_every_sampled_frame_of_a_real_video_is_seen(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.fps = 5.0
    run = run_of(job, world, store, clock)
    await run.run()
    seen = await found(store, job)
    assert [timestamp for timestamp, _ in seen] == list(range(0, 3000, 200))
    assert [light for _, light in seen] == sorted(light for _, light in seen)
    view = await store.get(job.spec.region, job.id)
    assert (view.status, view.model_version) == ("SUCCEEDED", "7.0")
    assert view.metadata is not None
    assert (view.metadata.codec, view.metadata.duration_ms) == ("h264", 3000)
    assert run.progress == 1.0
    assert world.open == 0


async def test_what_is_seen_late_keeps_its_place(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(frame: VideoFrame) -> int:
        for _ in range(10 if frame.timestamp_ms % 300 == 0 else 1):
            await asyncio.sleep(0)
        return round(float(frame.image.mean()))

    monkeypatch.setattr(world, "looked_at", look)
    await run_of(job, world, store, clock).run()
    assert await found(store, job) == [(number * 100, number) for number in range(20)]


@pytest.mark.parametrize("frames_max", [1, 3])
async def test_no_more_frames_are_held_than_allowed(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
    frames_max: int,
) -> None:
    world.hold(from_ms=0)
    running = asyncio.create_task(run_of(job, world, store, clock, frames_max).run())
    await until(lambda: world.looking == frames_max)
    world.release()
    await running
    assert world.looking_most == frames_max
    assert painted.alive_most <= frames_max
    assert len(await found(store, job)) == 20


async def test_items_leave_in_batches_however_long_the_video(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    painted.frames_total = 3000
    batches: list[int] = []
    add = store.results.add

    async def counting(key: int, items: Any, progress: float) -> None:
        batches.append(len(items))
        await add(key, items, progress)

    monkeypatch.setattr(store.results, "add", counting)
    await run_of(job, world, store, clock).run()
    assert sum(batches) == 3000
    assert max(batches) <= 200
    assert len(await found(store, job)) == 3000


async def test_progress_is_written_as_time_passes_with_or_without_items(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[float] = []
    add = store.results.add

    async def noting(key: int, items: Any, progress: float) -> None:
        written.append(round(progress, 3))
        await add(key, items, progress)

    def find_nothing(timestamp_ms: int, brightness: int) -> Iterable[Item]:
        clock._elapsed += 0.5  # looking at each frame takes half a second
        return ()

    monkeypatch.setattr(store.results, "add", noting)
    world.find = find_nothing
    await run_of(job, world, store, clock).run()
    assert written == sorted(written)
    assert written[-1] == 1.0
    assert len(written) == 20 // 4 + 2  # every two seconds, at the end of it, and once more


# --- the source --------------------------------------------------------------------------


async def test_a_source_that_does_not_answer_is_asked_again(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.fail("video", TransientFailure("S3 does not answer"), OSError("no network"))
    running = asyncio.create_task(run_of(job, world, store, clock).run())
    async with asyncio.timeout(60):
        while not running.done():
            await clock.advance(1)
            await asyncio.sleep(0.002)
    await running
    assert len(await found(store, job)) == 30


async def test_a_source_that_never_answers_fails_within_minutes_and_says_why(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.fail("video", *[TransientFailure("S3 does not answer")] * 100)
    running = asyncio.create_task(run_of(job, world, store, clock).run())
    async with asyncio.timeout(60):
        while not running.done():
            await clock.advance(10)
            await asyncio.sleep(0.002)
    with pytest.raises(TransientFailure, match=r"S3 does not answer \(tried 10 times\)"):
        await running
    assert 200 < clock.monotonic() < 360


async def test_an_object_that_is_not_there_fails_at_once(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.videos.clear()
    with pytest.raises(ObjectUnavailable, match=r"s3://clips/clip\.mp4 is not there"):
        await run_of(job, world, store, clock).run()


async def test_a_missing_model_fails_before_anything_is_fetched(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.fail("analysis", MediaError("no model"))
    with pytest.raises(MediaError, match="no model"):
        await run_of(job, world, store, clock).run()
    assert world.open_most == 0


async def test_a_video_that_was_cut_off_gives_no_result(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    clip: Path,
    tmp_path: Path,
) -> None:
    whole = clip.read_bytes()
    moov = whole.index(b"moov") - 4
    mdat = whole.index(b"mdat") - 4
    assert mdat < moov
    # The index of all frames, but only the first third of their bytes.
    cut = bytearray(whole)
    cut[mdat + (moov - mdat) // 3 : moov] = bytes(moov - mdat - (moov - mdat) // 3)
    world.videos["clip.mp4"] = tmp_path / "cut.mp4"
    world.videos["clip.mp4"].write_bytes(cut)
    with pytest.raises(MediaError, match=r"s3://clips/clip\.mp4"):
        await run_of(job, world, store, clock).run()
    assert await found(store, job) == []
    assert stored_threads() == []


async def test_the_first_trouble_in_the_order_of_frames_is_told(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.fail("look", *[RuntimeError(f"look {number}") for number in range(4)])
    with pytest.raises(RuntimeError, match="look 0"):
        await run_of(job, world, store, clock).run()
    assert (world.open, world.looking, stored_threads()) == (0, 0, [])


# --- the thread --------------------------------------------------------------------------


async def test_the_video_lives_on_one_thread_that_gives_way(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
) -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    await run_of(job, world, store, clock).run()
    assert len(painted.threads) == 1
    assert painted.threads != {threading.get_ident()}
    assert painted.niceness >= max(own, 10)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    assert stored_threads() == []


async def test_a_cancelled_job_leaves_nothing_behind(
    job: OpenJob, world: ScriptedJobWorld, store: JobStore, clock: FakeClock
) -> None:
    world.hold(from_ms=1000)
    running = asyncio.create_task(run_of(job, world, store, clock).run())
    await world.held.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (world.open, world.looking, stored_threads()) == (0, 0, [])
    assert (await store.get(job.spec.region, job.id)).status == "IN_PROGRESS"
    assert await found(store, job) == []


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_a_decoder_in_the_middle_of_a_frame_is_waited_for(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
    cancellations: int,
) -> None:
    painted.may_decode.clear()
    running = asyncio.create_task(run_of(job, world, store, clock).run())
    await until(painted.decoding.is_set)
    for _ in range(cancellations):
        running.cancel()
        await asyncio.sleep(0.01)
    assert (running.done(), painted.closed) == (False, 0)
    painted.may_decode.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (painted.closed, len(painted.threads), stored_threads()) == (1, 1, [])


async def test_a_video_that_was_being_opened_is_closed(
    job: OpenJob,
    world: ScriptedJobWorld,
    store: JobStore,
    clock: FakeClock,
    painted: type[Painted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opening, may_open = threading.Event(), threading.Event()

    class Slow(Painted):
        def __init__(self, path: Path, name: str, *, pixels_max: int) -> None:
            super().__init__(path, name, pixels_max=pixels_max)
            opening.set()
            may_open.wait(60)

    monkeypatch.setattr("streamproc.jobs.decoding.StoredVideo", Slow)
    running = asyncio.create_task(run_of(job, world, store, clock).run())
    await until(opening.is_set)
    running.cancel()
    await asyncio.sleep(0.01)
    may_open.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (painted.opened, painted.closed, stored_threads()) == (1, 1, [])
