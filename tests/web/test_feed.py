"""A tab's stream: every event once and in order, snapshots as they change, and nobody delayed."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from streamproc.clock import FakeClock
from streamproc.errors import StoreUnavailable
from streamproc.events.log import EventLog
from streamproc.gateway.errors import ServiceError
from streamproc.model.caller import Right
from streamproc.web.feed import REGIONS_MAX
from streamproc.web.snapshots import Topic
from tests.peers.sse import Stream
from tests.web.conftest import REGION, Listen, Log, Serve

MAY = Right("rekognition:ListStreamprocProcessors", "*")


class Source:
    """A topic that shows what the test says, and counts how often it is read."""

    def __init__(self, shown: Any = "first", name: str = "processors", every_s: float = 1.0):
        self.shown = shown
        self.reads = 0
        self.topic = Topic(name, MAY, self._read, every_s)

    async def _read(self, region: str) -> bytes:
        self.reads += 1
        if isinstance(self.shown, Exception):
            raise self.shown
        return json.dumps({"Shown": self.shown, "Region": region}).encode()


async def events(stream: Stream, count: int) -> list[tuple[int, str]]:
    """The next events: the id of their message, and their processor."""
    found = [await stream.next("event") for _ in range(count)]
    assert [int(one.id) for one in found] == [one.data["Id"] for one in found]
    return [(one.data["Id"], one.data["Processor"]) for one in found]


async def passing(clock: FakeClock, until: Callable[[], bool]) -> None:
    """Let seconds pass until something has come about."""
    async with asyncio.timeout(60):
        while not until():
            await clock.advance(1)
            await asyncio.sleep(0.001)


# --- events -------------------------------------------------------------------------------


async def test_an_event_comes_as_it_is_told_everywhere(
    serve: Serve, listen: Listen, note: Log, event_log: EventLog
) -> None:
    stream = await listen(f"{await serve()}/console/events")
    hello = await stream.next()
    assert (hello.name, hello.data["NewestId"], hello.data["Region"]) == ("hello", 0, REGION)
    assert (hello.data["Version"], hello.data["Denied"]) == ("1.2.3", {})
    await note("door")
    told = await stream.next("event")
    [event] = await event_log.read(0, 10)
    assert told.data == event.members


async def test_a_tab_that_comes_back_gets_exactly_what_it_missed(
    serve: Serve, listen: Listen, note: Log
) -> None:
    url = f"{await serve()}/console/events"
    first = await listen(url)
    await first.next("hello")
    await note("a", "b")
    assert await events(first, 2) == [(1, "a"), (2, "b")]
    first.answer.close()
    await note("c", "d")
    for way in ({"headers": {"Last-Event-ID": "2"}}, {"after": 2}):
        again = await listen(
            url + (f"?after={way['after']}" if "after" in way else ""), way.get("headers")
        )
        assert await events(again, 2) == [(3, "c"), (4, "d")]
        again.answer.close()
    last = await listen(url, {"Last-Event-ID": "4"})
    await last.next("hello")
    await note("e")
    assert await events(last, 1) == [(5, "e")]


async def test_a_long_absence_is_made_good_in_order(
    serve: Serve, listen: Listen, note: Log
) -> None:
    names = [f"cam-{number}" for number in range(350)]
    await note(*names)
    stream = await listen(f"{await serve()}/console/events?after=20")
    assert await events(stream, 330) == [(21 + i, name) for i, name in enumerate(names[20:])]


async def test_a_new_tab_begins_with_what_comes_next(
    serve: Serve, listen: Listen, note: Log
) -> None:
    await note("before")
    stream = await listen(f"{await serve()}/console/events")
    assert (await stream.next("hello")).data["NewestId"] == 1
    await note("after")
    assert await events(stream, 1) == [(2, "after")]


async def test_an_id_of_another_data_folder_begins_now(
    serve: Serve, listen: Listen, note: Log
) -> None:
    await note("before")
    stream = await listen(f"{await serve()}/console/events?after=9999")
    await stream.next("hello")
    await note("after")
    assert await events(stream, 1) == [(2, "after")]


async def test_a_tab_sees_its_own_region_alone(serve: Serve, listen: Listen, note: Log) -> None:
    await note(*["abroad"] * 150, region="eu-central-1")
    stream = await listen(f"{await serve()}/console/events?after=0")
    await note("home")
    await note("abroad", region="eu-central-1")
    last = await note("home-again")
    assert await events(stream, 2) == [(151, "home"), (last, "home-again")]


async def test_a_silent_stream_shows_that_it_lives(serve: Serve, listen: Listen) -> None:
    stream = await listen(f"{await serve()}/console/events")
    await stream.next("hello")
    await stream.next("")


async def test_a_log_that_cannot_be_read_is_told_and_read_on(
    serve: Serve,
    listen: Listen,
    note: Log,
    event_log: EventLog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = await listen(f"{await serve()}/console/events")
    await stream.next("hello")
    with monkeypatch.context() as broken:

        async def read(*_: object, **__: object) -> None:
            raise StoreUnavailable("events.db: the disk is full")

        broken.setattr(event_log, "read", read)
        await note("door")
        told = await stream.next("trouble")
        assert told.data == {"Topic": "event", "Message": "events.db: the disk is full"}
        await stream.next("")  # and not again and again
    assert await events(stream, 1) == [(1, "door")]


async def test_a_daemon_without_events_shows_the_rest(serve: Serve, listen: Listen) -> None:
    stream = await listen(f"{await serve(Source().topic, log=None)}/console/events")
    assert (await stream.next("hello")).data["NewestId"] == 0
    assert (await stream.next("processors")).data["Shown"] == "first"


# --- snapshots ----------------------------------------------------------------------------


async def test_a_snapshot_comes_at_once_and_then_when_it_has_changed(
    serve: Serve, listen: Listen, clock: FakeClock
) -> None:
    source = Source()
    stream = await listen(f"{await serve(source.topic)}/console/events")
    assert (await stream.next("processors")).data == {"Shown": "first", "Region": REGION}
    await passing(clock, lambda: source.reads > 3)
    source.shown = "second"
    await passing(clock, lambda: source.reads > 5)
    assert (await stream.next("processors")).data["Shown"] == "second"


async def test_a_snapshot_is_read_once_for_all_tabs_and_for_none_not_at_all(
    serve: Serve, listen: Listen, clock: FakeClock
) -> None:
    source = Source()
    url = f"{await serve(source.topic)}/console/events"
    await clock.advance(10)
    assert source.reads == 0
    tabs = [await listen(url) for _ in range(10)]
    for tab in tabs:
        assert (await tab.next("processors")).data["Shown"] == "first"
    assert source.reads == 1
    for tab in tabs:
        tab.answer.close()
    await passing(clock, lambda: True)
    async with asyncio.timeout(60):
        while True:  # until the server has noticed, and reads no more
            before = source.reads
            await clock.advance(5)
            if source.reads == before:
                break
            await asyncio.sleep(0.05)


async def test_a_tab_that_reads_nothing_delays_nobody_and_finds_the_newest(
    serve: Serve, listen: Listen, note: Log, clock: FakeClock
) -> None:
    source = Source("..." + "x" * 200_000, every_s=0.0)
    url = f"{await serve(source.topic)}/console/events"
    slow, quick = await listen(url), await listen(url)
    for number in range(60):  # twelve megabytes: more than what lies on the way
        source.shown = f"{number:03}" + "x" * 200_000
        reads = source.reads
        await passing(clock, lambda reads=reads: source.reads > reads + 1)  # type: ignore[misc]
        while (await quick.next("processors")).data["Shown"][:3] != f"{number:03}":
            pass
    await note("door")
    assert await events(quick, 1) == [(1, "door")]
    seen: list[str] = []
    told: list[str] = []
    while not (told and seen and seen[-1] == "059"):
        message = await slow.next("processors", "event")
        if message.name == "event":
            told.append(message.data["Processor"])
        else:
            seen.append(message.data["Shown"][:3])
    assert told == ["door"]
    assert len(seen) < 60
    assert seen == sorted(seen)  # a full stop sorts before digits


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServiceError("Not while models load."), "Not while models load."),
        (StoreUnavailable("jobs.db: the disk is full"), "jobs.db: the disk is full"),
        (ZeroDivisionError(), "Internal error; the server's log has its cause."),
    ],
)
async def test_a_topic_that_fails_is_told_once_and_leaves_the_others(
    serve: Serve, listen: Listen, clock: FakeClock, error: Exception, words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    bad, good = Source(error, "jobs"), Source()
    stream = await listen(f"{await serve(bad.topic, good.topic)}/console/events")
    both = {one.name: one.data for one in [await stream.next("trouble", "processors")
                                           for _ in range(2)]}  # fmt: skip
    assert both["trouble"] == {"Topic": "jobs", "Message": words}
    await passing(clock, lambda: bad.reads > 5)
    assert len([record for record in caplog.records if words in record.getMessage()]) == 1
    bad.shown = "well again"
    assert (await asyncio.gather(stream.next("jobs"), passing(clock, lambda: bad.reads > 8)))[
        0
    ].data["Shown"] == "well again"


async def test_a_large_snapshot_comes_less_often(
    serve: Serve, listen: Listen, clock: FakeClock
) -> None:
    source = Source("x" * 1_000_000)  # ten seconds' worth
    stream = await listen(f"{await serve(source.topic)}/console/events")
    await stream.next("processors")
    await clock.advance(9)
    assert source.reads == 1
    await clock.advance(2)
    assert source.reads == 2


# --- how many -----------------------------------------------------------------------------


async def test_more_streams_than_allowed_are_refused_in_words(
    serve: Serve, listen: Listen, session: aiohttp.ClientSession
) -> None:
    url = f"{await serve(streams_max=2)}/console/events"
    tabs = [await listen(url) for _ in range(2)]
    async with session.get(url) as answer:
        said = await answer.json()
        assert (answer.status, said["__type"]) == (503, "ServiceUnavailableException")
        assert "2 live connections of the console are open" in said["message"]
        assert "console.streams_max" in said["message"]
    tabs[0].answer.close()
    async with asyncio.timeout(60):
        while True:  # until the server has noticed that the tab is gone
            async with session.get(url) as answer:
                if answer.status == 200:
                    break
            await asyncio.sleep(0.05)


async def test_a_key_that_names_every_region_has_no_end_of_boards(
    serve: Serve, listen: Listen, session: aiohttp.ClientSession
) -> None:
    url = f"{await serve(Source().topic)}/console/events"

    def of(number: int) -> dict[str, str]:
        scope = f"A/20260101/us-east-{number}/rekognition/aws4_request"
        return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, "
                                 "SignedHeaders=host, Signature=0"}  # fmt: skip

    tabs = [await listen(url, of(number)) for number in range(REGIONS_MAX)]
    async with session.get(url, headers=of(REGIONS_MAX)) as answer:
        assert answer.status == 503
        assert f"of {REGIONS_MAX} regions are open" in (await answer.json())["message"]
    again = await listen(url, of(0))  # there is a board for it already
    assert (await again.next("processors")).data["Region"] == "us-east-0"
    tabs[1].answer.close()
    async with asyncio.timeout(60):
        while True:  # until the server has noticed that the tab is gone
            async with session.get(url, headers=of(REGIONS_MAX)) as answer:
                if answer.status == 200:
                    break
            await asyncio.sleep(0.05)
