"""An outlet over a real event log: nothing is lost, nothing overtakes, and what is told twice is
what nobody had acknowledged."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamproc.clock import FakeClock, SystemClock
from streamproc.errors import StoreUnavailable
from streamproc.events.outlet import Outlet, Outlets
from streamproc.events.ports import NotTaken, Refused
from streamproc.model.event import Event, EventKind
from tests.events.outlet_parts import PATIENCE_S, Diary, opened_diary, until


class ToyTarget:
    """Takes events, unless it is told not to."""

    kind = "toy"
    connects = True

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.heard: list[Event] = []  # whether or not it said yes
        self.open_error: Exception | None = None
        self.errors: dict[int, Exception] = {}  # by id, once each
        self.hold: asyncio.Event | None = None  # an answer waits for this
        self.gone = asyncio.Event()
        self.unwanted: set[EventKind] = set()
        self.opened = 0
        self.opened_cancelled = False

    def wants(self, event: Event) -> bool:
        return event.kind not in self.unwanted

    @asynccontextmanager
    async def open(self) -> AsyncIterator["ToyTarget"]:
        self.opened += 1
        task = asyncio.current_task()
        assert task is not None
        self.opened_cancelled |= task.cancelling() > 0
        if self.open_error is not None:
            raise self.open_error
        yield self

    async def attend(self) -> None:
        await self.gone.wait()
        self.gone.clear()
        raise NotTaken("it has gone")

    async def deliver(self, event: Event) -> None:
        self.heard.append(event)
        if self.hold is not None:
            await self.hold.wait()
        if (error := self.errors.pop(event.id, None)) is not None:
            raise error
        self.taken.append(event)


@pytest.fixture(name="diary")
async def opened(tmp_path: Path) -> AsyncIterator[Diary]:
    async with opened_diary(tmp_path) as diary:
        yield diary


@pytest.fixture(name="target")
def toy_target() -> ToyTarget:
    return ToyTarget()


def outlet_on(
    diary: Diary, target: ToyTarget, clock: Any = None, waiting_max: int = 1000
) -> Outlet:
    return Outlet(
        "toy", target, diary.log, clock or SystemClock(), waiting_max=waiting_max, roll=lambda: 0.01
    )


async def test_events_arrive_in_order_and_an_outlet_begins_with_what_happens_from_now_on(
    diary: Diary, target: ToyTarget
) -> None:
    await diary.visits(3)
    outlet = outlet_on(diary, target)
    later = await diary.visits(2)
    outlet.start()
    later += await diary.visits(2)
    await until(lambda: len(target.taken) == len(later))
    assert target.taken == later
    await until(lambda: outlet.view().waiting == 0)
    view = outlet.view()
    assert (view.connected, view.delivered_total, view.failures_total) == (True, 8, 0)
    await outlet.aclose()


async def test_what_happens_while_the_other_side_is_away_waits_and_keeps_its_order(
    diary: Diary, target: ToyTarget
) -> None:
    target.open_error = NotTaken("it is away")
    outlet = outlet_on(diary, target)
    outlet.start()
    events = await diary.visits(5)
    await until(lambda: target.opened > 2)
    view = outlet.view()
    assert (view.connected, view.message, view.waiting) == (False, "it is away", 10)
    assert view.failures_total >= 2
    target.open_error = None
    await until(lambda: len(target.taken) == 10)
    assert target.taken == events
    await outlet.aclose()


async def test_a_connection_lost_in_mid_delivery_repeats_what_was_not_acknowledged(
    diary: Diary, target: ToyTarget
) -> None:
    outlet = outlet_on(diary, target)
    outlet.start()
    await until(lambda: target.opened == 1)
    target.hold = asyncio.Event()
    events = await diary.visits(2)
    await until(lambda: target.heard)
    target.gone.set()
    await until(lambda: len(target.heard) == 2)  # the same again, on a new connection
    target.hold.set()
    await until(lambda: len(target.taken) == 4)
    assert target.taken == events
    assert [event.id for event in target.heard] == [1, 1, 2, 3, 4]
    assert not target.opened_cancelled
    await outlet.aclose()


async def test_what_was_acknowledged_is_noted_though_the_connection_breaks_in_that_moment(
    diary: Diary, target: ToyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet = outlet_on(diary, target)
    outlet.start()
    await until(lambda: target.opened == 1)
    move, writable = diary.log.move, asyncio.Event()

    async def move_slowly(name: str, event_id: int) -> None:
        await writable.wait()
        await move(name, event_id)

    monkeypatch.setattr(diary.log, "move", move_slowly)
    await diary.visits(1)
    await until(lambda: target.taken)
    target.gone.set()
    await until(lambda: not target.gone.is_set())
    writable.set()
    await until(lambda: len(target.taken) == 2)
    assert [event.id for event in target.heard] == [1, 2]
    await outlet.aclose()


async def test_the_next_daemon_goes_on_behind_what_was_acknowledged(
    diary: Diary, target: ToyTarget
) -> None:
    first = outlet_on(diary, target)
    first.start()
    before = await diary.visits(1)
    await until(lambda: len(target.taken) == 2)
    await first.aclose()
    assert await diary.log.cursor("toy") == 2
    between = await diary.visits(2)
    second = outlet_on(diary, target)
    second.start()
    await until(lambda: len(target.taken) == 6)
    assert target.taken == before + between
    await second.aclose()


async def test_what_is_being_said_when_the_daemon_ends_is_said_to_its_end(
    diary: Diary, target: ToyTarget
) -> None:
    outlet = outlet_on(diary, target)
    outlet.start()
    await until(lambda: target.opened == 1)
    target.hold = asyncio.Event()
    await diary.visits(1)
    await until(lambda: target.heard)
    closing = asyncio.create_task(outlet.aclose())
    await asyncio.sleep(0)
    target.hold.set()
    await closing
    assert [event.id for event in target.taken] == [1]
    assert await diary.log.cursor("toy") == 1


async def tried_again(target: ToyTarget) -> None:
    opened = target.opened
    await until(lambda: target.opened > opened + 1)


async def test_more_than_may_wait_is_passed_over_oldest_first_counted_and_told_once(
    diary: Diary, target: ToyTarget, caplog: pytest.LogCaptureFixture
) -> None:
    target.open_error = NotTaken("it is away")
    outlet = outlet_on(diary, target, waiting_max=4)
    outlet.start()
    with caplog.at_level(logging.WARNING):
        events = []
        for _ in range(5):
            events += await diary.visits(2)
            await tried_again(target)
    assert outlet.view().waiting <= 4
    target.open_error = None
    await until(lambda: outlet.view().waiting == 0)
    assert target.taken == events[-4:]
    assert outlet.view().passed_over_total == 16
    told = [line for line in caplog.messages if "passed over" in line]
    assert len(told) == 1
    assert "more than 4 were waiting" in told[0]
    await outlet.aclose()


async def test_events_that_the_log_no_longer_keeps_are_passed_over_and_counted(
    tmp_path: Path, target: ToyTarget
) -> None:
    (tmp_path / "small").mkdir()
    async with opened_diary(tmp_path / "small", kept=3) as diary:
        target.open_error = NotTaken("it is away")
        outlet = outlet_on(diary, target)
        outlet.start()
        events = await diary.visits(5)
        await until(lambda: target.opened > 1)
        assert await diary.log.prune() == 7
        target.open_error = None
        await until(lambda: len(target.taken) == 3)
        assert target.taken == events[-3:]
        assert outlet.view().passed_over_total == 7
        await outlet.aclose()


async def test_what_is_not_wanted_is_left_out_and_moves_the_cursor_all_the_same(
    diary: Diary, target: ToyTarget
) -> None:
    target.unwanted = {EventKind.ENTER}
    outlet = outlet_on(diary, target)
    outlet.start()
    await until(lambda: target.opened == 1)
    events = await diary.visits(3)
    await diary.enter("v", "alice")
    async with asyncio.timeout(PATIENCE_S):
        while await diary.log.cursor("toy") != 7:  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.01)
    assert target.taken == events[1::2]
    assert outlet.view().waiting == 0
    await outlet.aclose()


async def test_an_event_that_is_refused_for_good_holds_up_nobody(
    diary: Diary, target: ToyTarget
) -> None:
    target.errors = {2: Refused("no, never")}
    outlet = outlet_on(diary, target)
    outlet.start()
    await diary.visits(2)
    await until(lambda: len(target.taken) == 3)
    assert [event.id for event in target.heard] == [1, 2, 3, 4]
    view = outlet.view()
    assert (view.passed_over_total, view.failures_total, view.delivered_total) == (1, 1, 3)
    await outlet.aclose()


async def test_a_trouble_is_told_once_for_each_reason_and_when_it_is_over(
    diary: Diary, target: ToyTarget, caplog: pytest.LogCaptureFixture
) -> None:
    target.open_error = NotTaken("it is away")
    with caplog.at_level(logging.INFO):
        outlet = outlet_on(diary, target)
        outlet.start()
        await until(lambda: target.opened > 3)
        target.open_error = None
        await until(lambda: outlet.view().connected)
    assert [line for line in caplog.messages if line.startswith("outlet toy")] == [
        "outlet toy, trying again: it is away",
        "outlet toy: well again, 0 events waiting",
    ]
    await outlet.aclose()


async def test_a_failure_of_ours_ends_at_its_outlet_and_is_tried_again(
    diary: Diary, target: ToyTarget, caplog: pytest.LogCaptureFixture
) -> None:
    target.errors = {1: ZeroDivisionError("a bug")}
    outlet = outlet_on(diary, target)
    outlet.start()
    events = await diary.visits(1)
    await until(lambda: len(target.taken) == 2)
    assert target.taken == events
    assert "outlet toy failed" in caplog.text
    assert "ZeroDivisionError: a bug" in caplog.text
    await outlet.aclose()


async def test_a_disk_that_refuses_the_cursor_makes_nobody_hear_twice(
    diary: Diary, target: ToyTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet = outlet_on(diary, target)
    move, is_full = diary.log.move, True
    pauses: list[int] = []

    async def refuse(name: str, event_id: int) -> None:
        if event_id and is_full:
            raise StoreUnavailable("disk full")
        await move(name, event_id)

    def noted(attempt: int, **_: Any) -> float:
        pauses.append(attempt)
        return 0.01

    monkeypatch.setattr(diary.log, "move", refuse)
    monkeypatch.setattr("streamproc.events.outlet.backoff_seconds", noted)
    outlet.start()
    await diary.visits(1)
    await until(lambda: len(pauses) > 5 and len(target.taken) == 2)
    assert pauses == list(range(len(pauses)))  # longer and longer, though something was taken
    assert outlet.view().message == "disk full"
    is_full = False
    await until(lambda: outlet.view().connected)
    async with asyncio.timeout(PATIENCE_S):
        while await diary.log.cursor("toy") != 2:  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.01)
    assert [event.id for event in target.heard] == [1, 2]
    await outlet.aclose()


async def test_what_only_a_person_can_mend_is_tried_again_slowly(
    tmp_path: Path, diary: Diary, target: ToyTarget
) -> None:
    clock = FakeClock()
    target.open_error = NotTaken("wrong password", is_slow=True)
    outlet = outlet_on(diary, target, clock)
    outlet.start()
    await until(lambda: outlet.view().message == "wrong password")
    opened = target.opened
    await clock.advance(59.0)
    assert target.opened == opened
    target.open_error = None
    await clock.advance(5.0)
    await until(lambda: outlet.view().connected)
    await outlet.aclose()


async def test_one_outlet_that_is_away_does_not_hold_up_another(diary: Diary) -> None:
    away, there = ToyTarget(), ToyTarget()
    away.open_error = NotTaken("it is away")
    outlets = Outlets(
        [
            Outlet(name, target, diary.log, SystemClock(), waiting_max=100, roll=lambda: 0.01)
            for name, target in (("away", away), ("there", there))
        ]
    )
    outlets.start()
    events = await diary.visits(3)
    await until(lambda: there.taken == events)
    assert [(view.name, view.connected) for view in outlets.views()] == [
        ("away", False), ("there", True),
    ]  # fmt: skip
    await outlets.aclose()
