"""What has come is handed over once something of it is due; nothing is lost, nothing grows."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from streamproc.model.media import FragmentEnded, MediaEvent, Packet
from streamproc.model.position import StartAt, StartPosition
from streamproc.processor.inbox import EVENTS_QUEUED_MAX, Inbox

END = FragmentEnded("1", complete=True)


def numbered(*numbers: int) -> list[MediaEvent]:
    return [Packet(1, number, False, b"") for number in numbers]


def is_end(event: MediaEvent) -> bool:
    return isinstance(event, FragmentEnded)


def never(_: MediaEvent) -> bool:
    return False


class Tap:
    """A source that gives what a test lets out of it; an exception is raised, None ends it."""

    def __init__(self) -> None:
        self.given = 0
        self.is_closed = False
        self._out: asyncio.Queue[MediaEvent | Exception | None] = asyncio.Queue()

    def give(self, *events: MediaEvent | Exception | None) -> None:
        for event in events:
            self._out.put_nowait(event)

    async def events(self, _: StartPosition) -> AsyncGenerator[MediaEvent, None]:
        try:
            while (event := await self._out.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                self.given += 1
                yield event
        finally:
            self.is_closed = True


def inbox(tap: Tap, is_due: Callable[[MediaEvent], bool] = is_end) -> Inbox:
    return Inbox(tap, StartAt.NOW, is_due)


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_nothing_is_handed_over_before_something_is_due() -> None:
    tap = Tap()
    async with inbox(tap) as box:
        getting = asyncio.create_task(box.get())
        tap.give(*numbered(1, 2))
        await settled()
        assert not getting.done()
        tap.give(END)
        assert await getting == [*numbered(1, 2), END]


async def test_what_came_while_nobody_waited_is_handed_over_up_to_the_last_that_is_due() -> None:
    tap = Tap()
    async with inbox(tap) as box:
        tap.give(*numbered(1), END, *numbered(2), END, *numbered(3))
        await settled()
        assert await box.get() == [*numbered(1), END, *numbered(2), END]
        tap.give(END)
        assert await box.get() == [*numbered(3), END]


async def test_each_event_is_told_once_and_only_while_somebody_waits() -> None:
    tap, told = Tap(), list[MediaEvent]()

    def note(event: MediaEvent) -> bool:
        told.append(event)
        return is_end(event)

    async with inbox(tap, note) as box:
        tap.give(*numbered(1))
        await settled()
        assert told == []
        getting = asyncio.create_task(box.get())
        await settled()
        assert told == numbered(1)
        getting.cancel()  # as when the wait for more is given up
        await settled()
        tap.give(*numbered(2), END)
        assert await box.get() == [*numbered(1, 2), END]
        assert told == [*numbered(1, 2), END]


async def test_what_is_left_behind_the_last_that_is_due_is_not_told_again() -> None:
    tap, told = Tap(), list[MediaEvent]()

    def note(event: MediaEvent) -> bool:
        told.append(event)
        return is_end(event)

    async with inbox(tap, note) as box:
        tap.give(*numbered(1), END, *numbered(2))
        await settled()
        assert await box.get() == [*numbered(1), END]
        tap.give(END)
        assert await box.get() == [*numbered(2), END]
        assert told == [*numbered(1), END, *numbered(2), END]


async def test_a_full_inbox_is_handed_over_and_holds_the_source_back() -> None:
    tap = Tap()
    many = numbered(*range(3 * EVENTS_QUEUED_MAX))
    async with inbox(tap, never) as box:
        tap.give(*many)
        await settled()
        assert tap.given == EVENTS_QUEUED_MAX + 1  # and one at the door
        got = [*await box.get(), *await box.get(), *await box.get()]
    assert got == many


async def test_at_the_end_the_rest_comes_and_then_nothing() -> None:
    tap = Tap()
    async with inbox(tap) as box:
        tap.give(*numbered(1, 2), None)
        assert await box.get() == numbered(1, 2)
        assert await box.get() == []


async def test_an_error_comes_behind_all_that_came_before_it() -> None:
    tap = Tap()
    async with inbox(tap) as box:
        tap.give(*numbered(1), END, *numbered(2), OSError("gone"))
        await settled()
        assert await box.get() == [*numbered(1), END]
        assert await box.get() == numbered(2)
        with pytest.raises(OSError, match="gone"):
            await box.get()


async def test_the_source_is_closed_with_the_inbox() -> None:
    tap = Tap()
    async with inbox(tap) as box:
        tap.give(END)
        await box.get()
    assert tap.is_closed
