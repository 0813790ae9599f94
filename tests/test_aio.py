"""The small asyncio tools."""

import asyncio

import pytest

from streamproc.aio import LatestQueue, backoff_seconds
from streamproc.clock import FakeClock


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
