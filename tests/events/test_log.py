"""The event log keeps what was told, in order, for whoever comes later."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamproc.clock import FakeClock
from streamproc.events.log import EventLog
from streamproc.events.schema import Draft, OpenVisit, Standing
from streamproc.model.event import Event, EventKind

KEY = ("us-east-1", "door")


def state(status: str, processor: str = "door", region: str = "us-east-1") -> Draft:
    return Draft(EventKind.STATE, region, processor, 1.0, {"Status": status})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def log(tmp_path: Path, clock: FakeClock) -> AsyncIterator[EventLog]:
    log = await reopened(tmp_path, clock)
    yield log
    await log.aclose()


async def reopened(folder: Path, clock: FakeClock) -> EventLog:
    return await EventLog.open(folder / "events.db", clock, kept_s=3600.0, kept_max=1000)


def ids(events: list[Event]) -> list[int]:
    return [event.id for event in events]


async def test_events_are_read_in_the_order_they_were_told(log: EventLog) -> None:
    assert log.newest_id == 0
    told = await log.append([state("STARTING"), state("RUNNING"), state("STARTING", "gate")])
    assert ids(told) == [1, 2, 3]
    assert log.newest_id == 3
    assert await log.read(0, 10) == told
    assert ids(await log.read(1, 1)) == [2]
    assert ids(await log.latest(2)) == [3, 2]
    assert ids(await log.latest(10, before=3)) == [2, 1]
    assert ids(await log.read(0, 10, region="us-east-1", processor="gate")) == [3]
    assert await log.latest(10, region="eu-west-1") == []
    assert log.appended_total == {EventKind.STATE: 3}


async def test_who_waits_is_woken_by_the_next_event(log: EventLog) -> None:
    await log.append([state("STARTING")])
    await log.wait_beyond(0)
    waiting = asyncio.create_task(log.wait_beyond(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    await log.append([], Standing(KEY, 5.0))
    assert not waiting.done()
    await log.append([state("RUNNING")])
    await asyncio.wait_for(waiting, 60)


async def test_a_cursor_survives_and_one_of_nobody_is_forgotten(
    log: EventLog, tmp_path: Path, clock: FakeClock
) -> None:
    assert await log.cursor("mqtt") is None
    await log.move("mqtt", 3)
    await log.move("mqtt", 5)
    await log.move("webhooks.bell", 2)
    again = await reopened(tmp_path, clock)
    assert await again.cursor("mqtt") == 5
    await again.keep_cursors(["mqtt"])
    assert (await again.cursor("mqtt"), await again.cursor("webhooks.bell")) == (5, None)
    await again.aclose()


async def test_ids_are_never_used_again(log: EventLog, tmp_path: Path, clock: FakeClock) -> None:
    await log.append([state("STARTING")] * 5)
    await clock.advance(3700)
    assert await log.prune() == 5
    assert await log.read(0, 10) == []
    again = await reopened(tmp_path, clock)
    assert again.newest_id == 5
    assert ids(await again.append([state("RUNNING")])) == [6]
    await again.aclose()


async def test_only_so_many_are_kept(tmp_path: Path, clock: FakeClock) -> None:
    log = await EventLog.open(tmp_path / "few.db", clock, kept_s=3600.0, kept_max=10)
    await log.append([state("RUNNING")] * 2500)
    assert await log.prune() == 2490
    assert ids(await log.read(0, 100)) == list(range(2491, 2501))
    await log.aclose()


async def test_open_visits_go_with_the_events_that_opened_them(
    log: EventLog, tmp_path: Path, clock: FakeClock
) -> None:
    visit = OpenVisit("v1", 7.0, {"VisitId": "v1"}, {"frames": 3})
    standing = Standing(KEY, 7.0, 4, (visit,))
    await log.append([Draft(EventKind.ENTER, *KEY, 7.0, {"VisitId": "v1"})], standing)
    again = await reopened(tmp_path, clock)
    assert await again.standings() == [standing]
    [event] = await again.open_visits()
    assert (event.id, event.processor, event.body) == (1, "door", {"VisitId": "v1"})
    await again.append([], Standing(KEY, 9.0, 4))
    assert await again.open_visits() == []
    assert await again.standings() == [Standing(KEY, 9.0, 4)]
    await again.forget_processor(KEY)
    assert await again.standings() == []
    await again.aclose()


async def test_text_of_any_kind_comes_back_as_it_was(log: EventLog) -> None:
    body = {"Person": {"Name": 'Zoë "\u2028\x00 名'}}
    await log.append([Draft(EventKind.ENTER, *KEY, 1.25, body)])
    [event] = await log.read(0, 1)
    assert (event.body, event.at) == (body, 1.25)
