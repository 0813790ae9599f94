"""The small asyncio tools."""

import asyncio
import gc
import threading
import weakref
from functools import partial

import pytest

from streamproc.aio import LatestQueue, Worker, backoff_seconds, of_its_own
from streamproc.clock import FakeClock
from streamproc.model.log_context import about, log_context


def test_backoff_doubles_up_to_its_cap_and_jitters_over_all_of_it() -> None:
    assert [backoff_seconds(n, roll=lambda: 1.0) for n in range(8)] == [
        0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0,
    ]  # fmt: skip
    assert backoff_seconds(1000, cap_s=7.0, roll=lambda: 0.5) == 3.5
    assert backoff_seconds(3, roll=lambda: 0.0) == 0.0


async def test_a_fake_clock_wakes_sleepers_in_order_and_only_when_told() -> None:
    clock, woken = FakeClock(now=100.0), []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper("late", 3.0))
        tasks.create_task(sleeper("early", 1.0))
        await clock.advance(0.5)
        assert woken == []
        await clock.advance(5.0)
    assert woken == [("early", 101.0), ("late", 103.0)]
    assert clock.monotonic() == pytest.approx(5.5)


async def test_a_latest_queue_drops_the_oldest_and_counts_it() -> None:
    queue = LatestQueue[int](2)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    for item in (1, 2, 3):
        queue.put(item)
    assert queue.dropped_total == 1
    assert [await getting, await queue.get()] == [2, 3]
    assert len(queue) == 0
    with pytest.raises(ValueError, match="size_max 0"):
        LatestQueue[int](0)


async def test_a_worker_does_one_piece_after_the_other_off_the_loop() -> None:
    worker, done = Worker("test"), list[int]()
    threads = await asyncio.gather(*(worker.run(threading.current_thread) for _ in range(3)))
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    await asyncio.gather(*(worker.run(partial(done.append, number)) for number in range(9)))
    assert done == list(range(9))
    worker.stop()
    await asyncio.to_thread(threads[0].join, 60)
    assert not threads[0].is_alive()


async def test_what_fails_on_a_worker_is_raised_to_its_caller_and_the_next_goes_on() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 5) == 5
    worker.stop()


async def test_a_worker_tells_on_the_loop_how_work_ended() -> None:
    worker, ended = Worker("test"), asyncio.Event()
    told: list[tuple[object, BaseException | None, threading.Thread]] = []

    def note(result: object, error: BaseException | None) -> None:
        told.append((result, error, threading.current_thread()))
        if len(told) == 2:
            ended.set()

    worker.begin(lambda: 5, note)
    worker.begin(lambda: 1 // 0, note)
    await asyncio.wait_for(ended.wait(), 60)
    (result, nothing, here), (none, error, _) = told
    assert (result, nothing, none) == (5, None, None)
    assert isinstance(error, ZeroDivisionError)
    assert here is threading.current_thread()
    worker.stop()
    with pytest.raises(RuntimeError, match="test is stopped"):
        worker.begin(int, note)


async def test_who_gives_up_waiting_for_a_worker_does_not_stop_it() -> None:
    worker, goes_on, done = Worker("test"), threading.Event(), list[str]()
    holding = asyncio.ensure_future(worker.run(lambda: goes_on.wait(60)))
    behind = asyncio.ensure_future(worker.run(lambda: done.append("behind")))
    await asyncio.sleep(0)
    holding.cancel()
    behind.cancel()
    await asyncio.wait([holding, behind])
    last = asyncio.ensure_future(worker.run(lambda: done.append("last")))
    await asyncio.sleep(0)
    worker.stop()  # what waits is still done
    goes_on.set()
    await last
    assert done == ["behind", "last"]


async def test_a_worker_that_is_stopped_refuses() -> None:
    worker = Worker("test")
    worker.stop()
    with pytest.raises(RuntimeError, match="test is stopped"):
        await worker.run(int)


def test_a_worker_outlives_the_loop_of_a_caller_who_left() -> None:
    worker, goes_on = Worker("test"), threading.Event()

    async def leave() -> None:
        waiting = asyncio.ensure_future(worker.run(lambda: goes_on.wait(60)))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    goes_on.set()
    assert asyncio.run(worker.run(lambda: 5)) == 5
    worker.stop()


async def test_what_failed_work_was_about_is_not_kept() -> None:
    class Picture:
        pass

    def fail(_: Picture) -> None:
        raise LookupError

    worker, picture = Worker("test"), Picture()
    kept = weakref.ref(picture)
    gc.disable()
    try:
        with pytest.raises(LookupError):
            await worker.run(partial(fail, picture))
        del picture
        await worker.run(lambda: None)  # the thread holds it until the next piece comes
        assert kept() is None
    finally:
        gc.enable()
        worker.stop()


async def test_a_task_of_its_own_is_about_nothing_that_began_it() -> None:
    async def told() -> dict[str, str]:
        return dict(log_context())

    with about(request_id="r-1"):
        task = of_its_own(told(), "watch")
        assert await asyncio.create_task(told()) == {"request_id": "r-1"}
    assert task.get_name() == "watch"
    assert await task == {}
