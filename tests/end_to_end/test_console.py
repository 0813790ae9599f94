"""The console of a daemon in its own process: what tabs see of real video, and how they end."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from streamproc.cli.demo_video import HEIGHT, WIDTH
from tests.peers.sse import Stream, listening


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def tabs(session: aiohttp.ClientSession) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_person_is_seen_with_their_box_and_name(
    rig: Any, clip: Path, eileen_png: bytes, run_cli: Callable[..., Any],
    session: aiohttp.ClientSession, tabs: AsyncExitStack,
) -> None:  # fmt: skip
    await asyncio.to_thread(rig.enrol, eileen_png, "Eileen-Collins")
    video, data = rig.streams()
    rig.create(video, data)
    view = await tabs.enter_async_context(
        listening(session, f"{rig.daemon.url}/console/view?name=cam")
    )
    page = await tabs.enter_async_context(listening(session, f"{rig.daemon.url}/console/events"))
    await page.next("hello")
    await asyncio.to_thread(rig.start)
    while (await page.next("processors")).data["Processors"][0]["Status"] != "RUNNING":
        pass
    sent = asyncio.to_thread(run_cli, "put-media", str(clip), "--stream", "cam",
                             "--endpoint-url", rig.daemon.url)  # fmt: skip
    pushing = asyncio.create_task(sent)
    picture = (await view.next("picture")).data
    while not any(face["known"] for face in picture["faces"]):
        picture = (await view.next("picture")).data
    [face] = picture["faces"]
    assert face["name"] == "Eileen-Collins"
    assert face["similarity"] >= 90.0
    assert (picture["width"], picture["height"]) == (WIDTH, HEIGHT)
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["jpeg"]), np.uint8), 1)
    assert shown is not None
    assert shown.shape == (HEIGHT, WIDTH, 3)
    box = face["box"]
    assert 0 < box["Left"] < 0.5  # she walks in the left half
    assert 0.1 < box["Height"] < 0.6
    assert box["Top"] + box["Height"] < 1
    enter = await entered(page)
    assert enter["Person"]["Name"] == "Eileen-Collins"
    while not (await page.next("present")).data["Visits"]:
        pass
    assert (await pushing).returncode == 0


async def entered(page: Stream) -> Any:
    while (event := (await page.next("event")).data)["Event"] != "enter":
        pass
    return event


async def test_ten_tabs_see_the_same_and_do_not_keep_the_daemon_from_ending(
    rig: Any, session: aiohttp.ClientSession, tabs: AsyncExitStack
) -> None:
    base = f"{rig.daemon.url}/console"
    pages = [
        await tabs.enter_async_context(listening(session, f"{base}/events")) for _ in range(10)
    ]
    for page in pages:
        await page.next("hello")
        await page.next("health")
    rig.create(*rig.streams())
    created = [await page.next("event") for page in pages]
    assert {event.data["Status"] for event in created} == {"STOPPED"}
    assert len({event.id for event in created}) == 1
    view = f"{base}/view?name=cam"
    views = [await tabs.enter_async_context(listening(session, view)) for _ in range(10)]
    ending = asyncio.create_task(asyncio.to_thread(rig.daemon.stop))
    for tab in pages + views:
        await tab.rest()
    assert await ending == 0
    assert "Traceback" not in rig.daemon.log
    assert "never" not in rig.daemon.log  # retrieved, awaited


async def test_a_tab_goes_on_with_the_next_daemon_where_it_was(
    rig: Any, session: aiohttp.ClientSession, tabs: AsyncExitStack
) -> None:
    first = await tabs.enter_async_context(listening(session, f"{rig.daemon.url}/console/events"))
    await first.next("hello")
    rig.create(*rig.streams("one"), name="one")
    last_id = (await first.next("event")).id
    rig.create(*rig.streams("two"), name="two")
    await asyncio.to_thread(rig.daemon.kill)
    await first.rest()
    await asyncio.to_thread(rig.daemon.start)
    again = await tabs.enter_async_context(
        listening(session, f"{rig.daemon.url}/console/events", {"Last-Event-ID": last_id})
    )
    assert (await again.next("event")).data["Processor"] == "two"
