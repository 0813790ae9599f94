"""One engine for everyone: fair, bounded, and a failure stays with its caller."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from streamproc.engines.fake import FakeEngine
from streamproc.engines.scheduler import Scheduler
from streamproc.errors import EngineError
from streamproc.model.face import Face
from streamproc.model.media import Image


class Gate:
    """Holds every picture on its thread until opened, and notes the order they came in.

    A picture is told by the grey of its first pixel.
    """

    def __init__(self) -> None:
        self.order: list[int] = []
        self._entered = threading.Semaphore(0)
        self._open = threading.Semaphore(0)

    def __call__(self, images: Sequence[Image]) -> None:
        self.order.append(int(images[0][0, 0, 0]))
        self._entered.release()
        assert self._open.acquire(timeout=60)

    def let(self, count: int) -> None:
        self._open.release(count)

    async def entered(self) -> None:
        """Until one more picture is on a thread."""
        assert await asyncio.to_thread(self._entered.acquire, timeout=60)


def picture(number: int) -> Image:
    return np.full((40, 40, 3), number, np.uint8)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def scheduler(gate: Gate) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(FakeEngine(before=gate), threads=1)
    yield scheduler
    gate.let(100)
    await scheduler.aclose()


async def submit(scheduler: Scheduler, number: int, owner: str) -> "asyncio.Task[object]":
    task: asyncio.Task[object] = asyncio.create_task(scheduler.analyse(picture(number), owner))
    await asyncio.sleep(0)  # it asks before anyone else does
    return task


async def test_it_answers_with_the_faces_of_the_picture() -> None:
    image = np.full((100, 100, 3), 90, np.uint8)
    FakeEngine.paint(image, 5, 20, 20, 40)
    scheduler = Scheduler(FakeEngine(), threads=2)
    (face,) = await scheduler.analyse(image, "one")
    assert face.embedding is not None
    assert face.embedding.argmax() == 5
    await scheduler.aclose()


async def test_turns_go_round_the_owners_however_much_one_asks(
    scheduler: Scheduler, gate: Gate
) -> None:
    tasks = [await submit(scheduler, number, "greedy") for number in (10, 11, 12, 13)]
    tasks += [await submit(scheduler, 20, "second"), await submit(scheduler, 30, "third")]
    gate.let(6)
    await asyncio.gather(*tasks)
    assert gate.order == [10, 11, 20, 30, 12, 13]


async def test_an_owner_that_asks_one_at_a_time_gets_every_other_turn(
    scheduler: Scheduler, gate: Gate
) -> None:
    async def patient() -> None:
        for number in (20, 21, 22):
            await scheduler.analyse(picture(number), "patient")

    greedy = [await submit(scheduler, number, "greedy") for number in range(10, 18)]
    modest = asyncio.create_task(patient())
    gate.let(11)
    await asyncio.gather(modest, *greedy)
    assert gate.order.index(22) <= 6


async def test_as_many_pictures_run_at_once_as_there_are_threads(gate: Gate) -> None:
    scheduler = Scheduler(FakeEngine(before=gate), threads=2)
    tasks = [await submit(scheduler, number, str(number)) for number in range(4)]
    await gate.entered()
    await gate.entered()
    assert sorted(gate.order) == [0, 1]
    gate.let(4)
    await asyncio.gather(*tasks)
    assert sorted(gate.order) == [0, 1, 2, 3]
    await scheduler.aclose()


async def test_a_cancelled_picture_that_waits_is_never_analysed(
    scheduler: Scheduler, gate: Gate
) -> None:
    first = await submit(scheduler, 1, "a")
    waiting, behind = await submit(scheduler, 2, "a"), await submit(scheduler, 3, "b")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.let(2)
    await asyncio.gather(first, behind)
    assert gate.order == [1, 3]


async def test_a_cancelled_picture_on_a_thread_frees_it_when_done(
    scheduler: Scheduler, gate: Gate
) -> None:
    running = await submit(scheduler, 1, "a")
    await gate.entered()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    behind = await submit(scheduler, 2, "b")
    gate.let(2)
    assert await behind == []
    assert gate.order == [1, 2]


async def test_what_waits_and_works_is_counted(gate: Gate, scheduler: Scheduler) -> None:
    running, waiting = await submit(scheduler, 1, "a"), await submit(scheduler, 2, "b")
    await gate.entered()
    assert (scheduler.busy, scheduler.queued(background=False)) == (1, 1)
    assert scheduler.queued(background=True) == 0
    gate.let(2)
    await asyncio.gather(running, waiting)
    await scheduler.run(lambda: None, "job", background=True)
    assert (scheduler.busy, scheduler.queued(background=False)) == (0, 0)
    live, stored = scheduler.figures.live, scheduler.figures.stored
    assert (live.waiting.read().count, live.working.read().count) == (2, 2)
    assert (stored.waiting.read().count, stored.working.read().count) == (1, 1)
    assert live.working.read().total > 0


async def test_a_failure_reaches_its_caller_and_nobody_else() -> None:
    def refuse_black(images: Sequence[Image]) -> None:
        if images[0].max() == 0:
            raise EngineError("too dark")

    scheduler = Scheduler(FakeEngine(before=refuse_black), threads=1)
    dark, light = await asyncio.gather(
        scheduler.analyse(picture(0), "dark"),
        scheduler.analyse(picture(9), "light"),
        return_exceptions=True,
    )
    assert isinstance(dark, EngineError)
    assert light == []
    assert await scheduler.analyse(picture(8), "dark") == []
    await scheduler.aclose()


async def test_attributes_are_asked_of_the_engine_by_who_asks_for_them() -> None:
    class Asked(FakeEngine):
        def analyse(
            self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
        ) -> list[list[Face]]:
            asked.append(attributes)
            return super().analyse(images, attributes=attributes)

    asked: list[bool] = []
    scheduler = Scheduler(Asked(), threads=1)
    await scheduler.analyse(picture(1), "processor")
    await scheduler.analyse(picture(1), "api", attributes=True)
    assert asked == [False, True]
    await scheduler.aclose()


async def test_closing_finishes_what_runs_and_refuses_what_waits(gate: Gate) -> None:
    scheduler = Scheduler(FakeEngine(before=gate), threads=1)
    running, waiting = await submit(scheduler, 1, "a"), await submit(scheduler, 2, "a")
    await gate.entered()
    closing = asyncio.create_task(scheduler.aclose())
    with pytest.raises(EngineError, match="shutting down"):
        await waiting
    gate.let(1)
    await closing
    assert await running == []
    assert gate.order == [1]
    with pytest.raises(EngineError, match="shutting down"):
        await scheduler.analyse(picture(3), "a")


async def test_a_camera_takes_turns_like_everyone_and_one_picture_is_one_turn(
    scheduler: Scheduler, gate: Gate
) -> None:
    camera = scheduler.view("camera")
    tasks = [await submit(scheduler, number, "greedy") for number in (10, 11, 12)]
    tasks.append(asyncio.create_task(camera.analyse(picture(20), 0.0)))
    await asyncio.sleep(0)
    gate.let(4)
    await asyncio.gather(*tasks)
    assert gate.order == [10, 11, 20, 12]


async def test_a_camera_remembers_its_own_pictures_and_nobody_elses(gate: Gate) -> None:
    image = np.full((100, 100, 3), 90, np.uint8)
    FakeEngine.paint(image, 5, 20, 20, 40)
    scheduler = Scheduler(FakeEngine(before=gate), threads=1)
    gate.let(100)
    door, yard = scheduler.view("door"), scheduler.view("yard")
    assert len(await door.analyse(image, 0.0)) == 1
    assert await yard.analyse(picture(9), 0.0) == []
    assert len(await door.analyse(picture(9), 0.2)) == 0
    assert len(await yard.analyse(image, 0.2)) == 1
    await scheduler.aclose()


async def test_a_cameras_picture_that_never_ends_is_seen_to_be_stuck(gate: Gate) -> None:
    scheduler = Scheduler(FakeEngine(before=gate), threads=1)
    task = asyncio.create_task(scheduler.view("eu-west-1/door").analyse(picture(1), 0.0))
    await gate.entered()
    assert "eu-west-1/door" in scheduler.stuck(-1.0)
    assert scheduler.stuck(60.0) == ""
    gate.let(1)
    await task
    assert scheduler.stuck(-1.0) == ""
    await scheduler.aclose()


def test_no_number_of_threads_means_one_per_core() -> None:
    assert Scheduler(FakeEngine()).threads >= 1


async def test_stored_video_waits_until_no_live_frame_does(gate: Gate) -> None:
    scheduler = Scheduler(FakeEngine(before=gate), threads=1)
    first = await submit(scheduler, 0, "camera")
    stored = asyncio.create_task(scheduler.analyse(picture(1), "job", background=True))
    await asyncio.sleep(0)
    later = [await submit(scheduler, number, "camera") for number in (2, 3)]
    gate.let(4)
    await asyncio.gather(first, stored, *later)
    await scheduler.aclose()
    assert gate.order == [0, 2, 3, 1]


async def test_while_live_work_comes_in_one_thread_is_kept_free_of_stored_video(
    gate: Gate,
) -> None:
    scheduler = Scheduler(FakeEngine(before=gate), threads=2)
    live = await submit(scheduler, 0, "camera")
    await gate.entered()
    gate.let(1)
    await live
    stored = [
        asyncio.create_task(scheduler.analyse(picture(number), "job", background=True))
        for number in (1, 2)
    ]
    await gate.entered()
    # One stored picture holds a thread; the other does not take the second one.
    live = await submit(scheduler, 3, "camera")
    await gate.entered()
    gate.let(3)
    await asyncio.gather(live, *stored)
    await scheduler.aclose()
    assert gate.order == [0, 1, 3, 2]


async def test_without_live_work_stored_video_takes_every_thread(gate: Gate) -> None:
    scheduler = Scheduler(FakeEngine(before=gate), threads=2)
    stored = [
        asyncio.create_task(scheduler.analyse(picture(number), "job", background=True))
        for number in (1, 2)
    ]
    await gate.entered()
    await gate.entered()  # both are on a thread at once
    gate.let(2)
    await asyncio.gather(*stored)
    await scheduler.aclose()


async def test_a_thread_that_cannot_be_started_fails_one_caller_and_costs_nobody_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scheduler = Scheduler(FakeEngine(), threads=1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            await scheduler.analyse(picture(1), "a", background=True)
    async with asyncio.timeout(60):
        await scheduler.analyse(picture(2), "b", background=True)
        await scheduler.aclose()
