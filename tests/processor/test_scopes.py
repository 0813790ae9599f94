"""A block is left when something else comes first, by the task that entered it."""

import asyncio

import pytest

from streamproc.clock import FakeClock
from streamproc.processor.scopes import abandoned_when


async def test_a_block_that_ends_first_is_not_disturbed() -> None:
    async with abandoned_when(asyncio.sleep(60)) as scope:
        pass
    assert not scope.expired()


async def test_a_block_is_left_when_the_condition_returns() -> None:
    clock = FakeClock()
    reached = []

    async def work() -> None:
        async with abandoned_when(clock.sleep(5)) as scope:
            reached.append("begun")
            await asyncio.Event().wait()
            reached.append("never")
        reached.append(f"expired {scope.expired()}")

    task = asyncio.create_task(work())
    await clock.advance(4.9)
    assert reached == ["begun"]
    await clock.advance(0.2)
    assert reached == ["begun", "expired True"]
    await task


async def test_errors_and_cancellation_pass_through() -> None:
    with pytest.raises(KeyError):
        async with abandoned_when(asyncio.sleep(60)):
            raise KeyError("mine")
    with pytest.raises(TimeoutError, match="mine too"):
        async with abandoned_when(asyncio.sleep(60)):
            raise TimeoutError("mine too")

    async def work() -> None:
        async with abandoned_when(asyncio.sleep(60)):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_condition_that_holds_already_ends_the_first_wait() -> None:
    event = asyncio.Event()
    event.set()
    async with abandoned_when(event.wait()) as scope:
        await asyncio.Event().wait()
    assert scope.expired()


async def test_scopes_nest() -> None:
    inner_done = asyncio.Event()
    async with abandoned_when(asyncio.sleep(60)) as outer:
        async with abandoned_when(asyncio.sleep(0)) as inner:
            await asyncio.Event().wait()
        inner_done.set()
    assert inner.expired()
    assert not outer.expired()
    assert inner_done.is_set()
