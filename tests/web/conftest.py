"""The console over parts that a test drives by hand, and a client that reads its streams."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp import web

from streamproc.audit.log import Audit, NoAudit
from streamproc.clock import FakeClock
from streamproc.events.log import EventLog
from streamproc.events.schema import Draft
from streamproc.gateway.app import build_app
from streamproc.gateway.door import OpenDoor
from streamproc.model.event import EventKind
from streamproc.model.processor import ProcessorKey
from streamproc.web.feed import Feed
from streamproc.web.guard import Guard
from streamproc.web.live import LiveViews
from streamproc.web.pages import Page, Pages
from streamproc.web.routes import Console
from streamproc.web.snapshots import Topic
from tests.peers.sse import Stream, listening

REGION = "us-east-1"
ACCOUNT = "000000000000"
# Ends a test that would wait for ever, and is not in the way of any other.
HEARTBEAT_S = 0.2

FILES = {
    "index.html": b"<!doctype html><title>console</title>" + b"<p>text</p>" * 200,
    "js/app.js": b"export const answer = 42;\n",
    "icon.png": b"\x89PNG" + bytes(range(256)),
}

Serve: TypeAlias = Callable[..., Awaitable[str]]
Listen: TypeAlias = Callable[..., Awaitable[Stream]]
Log: TypeAlias = Callable[..., Awaitable[int]]


async def eventually(condition: Callable[[], Any]) -> None:
    """Return once it holds; the loop runs on meanwhile."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (of what tells nobody that it has changed)
            await asyncio.sleep(0.005)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def event_log(tmp_path: Path, clock: FakeClock) -> AsyncIterator[EventLog]:
    log = await EventLog.open(tmp_path / "events.db", clock, kept_s=1e9, kept_max=10_000)
    yield log
    await log.aclose()


@pytest.fixture
def note(event_log: EventLog) -> Log:
    """Append events of a processor; gives the id of the last."""

    async def append(*processors: str, region: str = REGION) -> int:
        drafts = [Draft(EventKind.STATE, region, name, 1e9, {"Status": "RUNNING"})
                  for name in processors]  # fmt: skip
        return (await event_log.append(drafts))[-1].id

    return append


@pytest.fixture
async def views() -> AsyncIterator[LiveViews]:
    views = LiveViews(heartbeat_s=HEARTBEAT_S)
    yield views
    views.close()


@pytest.fixture
def pages() -> Pages:
    return Pages({path: Page.of(Path(path).suffix, body) for path, body in FILES.items()})


@pytest.fixture
async def serve(
    pages: Pages, views: LiveViews, event_log: EventLog, clock: FakeClock
) -> AsyncIterator[Serve]:
    """Serve a console with these topics; gives its base URL. exists says which processors there
    are; log=None is a daemon that keeps no events."""
    runners: list[web.AppRunner] = []

    async def start(
        *topics: Topic,
        exists: Callable[[ProcessorKey], bool] = lambda key: key == (REGION, "door"),
        streams_max: int = 50,
        log: EventLog | None = event_log,
        audit: Audit | None = None,
    ) -> str:
        app = build_app([], account_id=ACCOUNT, region=REGION, request_bytes_max=1000)
        feed = Feed(topics, log, clock, {"Version": "1.2.3"}, heartbeat_s=HEARTBEAT_S)
        Console(
            Guard(OpenDoor("https://cams.example"), REGION), pages, feed, views,
            audit or NoAudit(),
            exists=exists, account_id=ACCOUNT, streams_max=streams_max,
        ).add_to(app)  # fmt: skip
        runners.append(web.AppRunner(app, shutdown_timeout=30))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def listen(session: aiohttp.ClientSession) -> AsyncIterator[Listen]:
    """Open streams that close with the test."""
    async with AsyncExitStack() as stack:

        async def listen(url: str, headers: Any = None) -> Stream:
            return await stack.enter_async_context(listening(session, url, headers))

        yield listen
