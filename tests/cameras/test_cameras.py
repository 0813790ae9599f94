"""Every camera by itself: what befalls one ends there."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from streamproc.cameras.fake import FakeWorld
from streamproc.cameras.service import BACKOFF_S_MAX, LOOK_AGAIN_S, Cameras
from streamproc.cameras.view import Camera, CameraStatus
from streamproc.clock import FakeClock
from streamproc.errors import TransientFailure


def camera(name: str, **members: str) -> Camera:
    asked = Camera(name=name, region="us-east-1", url=f"rtsp://{name}/1", stream=name)
    return replace(asked, data_stream=f"{name}-faces", **members)  # type: ignore[arg-type]


class Yard:
    """Some cameras, running."""

    def __init__(self, *cameras: Camera, collections: set[str] | None = None) -> None:
        self.clock = FakeClock()
        self.world = FakeWorld(collections=collections or set())
        self.cameras = Cameras(cameras, self.world, self.clock, roll=lambda: 1.0)

    async def settle(self, seconds: float = 0.0) -> None:
        await self.clock.advance(seconds)


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    made = Yard(camera("door"), camera("gate", collection="family"), collections={"family"})
    made.cameras.start()
    await made.settle()
    yield made
    await asyncio.wait_for(made.cameras.drain(), 60)


async def test_all_are_played_and_only_what_is_asked_for_is_made(yard: Yard) -> None:
    assert [feed.runs for feed in yard.world.feeds.values()] == [1, 1]
    assert list(yard.world.processors) == [("us-east-1", "gate")]
    assert [(view.name, view.processor) for view in yard.cameras.views()] == [
        ("door", ""),
        ("gate", "gate"),
    ]


async def test_a_feed_that_breaks_is_played_again_and_no_other_notices(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        yard.world.feeds["door"].end(RuntimeError("out of nowhere"))
        await yard.settle()
    [door, gate] = yard.cameras.views()
    assert "out of nowhere" in door.message
    assert gate.message == ""
    assert "camera door, tried again: out of nowhere" in caplog.text
    await yard.settle(BACKOFF_S_MAX)
    assert yard.world.feeds["door"].runs == 2
    assert yard.world.feeds["gate"].runs == 1
    assert yard.cameras.views()[0].message == ""


async def test_a_feed_that_ends_by_itself_is_played_again(yard: Yard) -> None:
    yard.world.feeds["door"].end()
    await yard.settle(5.0)
    assert yard.world.feeds["door"].runs == 2


async def test_what_cannot_be_made_is_told_and_tried_again() -> None:
    yard = Yard(camera("door", collection="family"), collections={"family"})
    yard.world.failures = [TransientFailure("Kinesis Video is out of reach"), OSError("no way")]
    yard.cameras.start()
    await yard.settle()
    [view] = yard.cameras.views()
    assert "Kinesis Video is out of reach" in view.message
    assert view.status is CameraStatus.LIVE
    await yard.settle(BACKOFF_S_MAX * 2)
    assert yard.cameras.views()[0].message == ""
    assert yard.world.started == [("us-east-1", "door")]
    await asyncio.wait_for(yard.cameras.drain(), 60)


async def test_the_end_lets_feeds_finish_and_does_not_wait_for_collections() -> None:
    yard = Yard(camera("door", collection="missing"))
    yard.cameras.start()
    await yard.settle()
    assert "missing" in yard.cameras.views()[0].message
    await asyncio.wait_for(yard.cameras.drain(), 60)
    assert yard.world.feeds["door"].is_drained
    assert yard.world.started == []


async def test_a_stream_that_was_made_again_is_told_while_it_runs(yard: Yard) -> None:
    assert yard.cameras.views()[1].message == ""
    yard.world.videos_made += 1
    await yard.settle(LOOK_AGAIN_S)
    assert "a former gate, deleted since" in yard.cameras.views()[1].message
    del yard.world.processors["us-east-1", "gate"]
    await yard.settle(LOOK_AGAIN_S)
    assert yard.cameras.views()[1].message == ""


async def test_a_region_s_cameras_are_its_own() -> None:
    yard = Yard(camera("door"), camera("hall", region="eu-west-1"))
    assert [view.name for view in yard.cameras.list("eu-west-1")] == ["hall"]
    assert [view.name for view in yard.cameras.list("us-east-1")] == ["door"]
    assert yard.cameras.list("mars-1") == ()


async def test_the_end_before_the_beginning_is_no_trouble() -> None:
    yard = Yard(camera("door"))
    await asyncio.wait_for(yard.cameras.drain(), 60)
