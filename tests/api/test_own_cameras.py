"""ListStreamprocCameras: the cameras of a region, as far as they are known."""

from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from streamproc.api import rekognition
from streamproc.api.cameras import camera_members
from streamproc.cameras.fake import FakeWorld
from streamproc.cameras.service import Cameras
from streamproc.cameras.view import Camera, CameraStatus, CameraView, FeedView
from streamproc.clock import FakeClock
from streamproc.gateway.dispatch import RequestContext

DOOR = Camera(name="door", region="us-east-1", url="rtsp://u:***@door/1", stream="front",
              collection="family", data_stream="door-faces")  # fmt: skip
MEMBERS = rekognition.model.shape_for("StreamprocCamera").members


@pytest.fixture
async def cameras() -> AsyncIterator[Cameras]:
    hall = replace(DOOR, name="hall", region="eu-west-1", collection="")
    made = Cameras([DOOR, hall], FakeWorld(), FakeClock())
    yield made
    await made.drain()


async def listed(cameras: Cameras | None, region: str) -> list[dict[str, Any]]:
    context = RequestContext("rekognition", "ListStreamprocCameras", region, "000000000000", "")
    services: Any = SimpleNamespace(cameras=cameras)
    answer = await rekognition.bind(services).handlers["ListStreamprocCameras"]({}, context)
    return list(answer["Cameras"])


async def test_a_region_lists_its_own(cameras: Cameras) -> None:
    assert [each["Name"] for each in await listed(cameras, "us-east-1")] == ["door"]
    assert [each["Name"] for each in await listed(cameras, "eu-west-1")] == ["hall"]
    assert await listed(cameras, "mars-1") == []
    assert await listed(None, "us-east-1") == []


async def test_what_is_not_known_yet_is_absent(cameras: Cameras) -> None:
    [door] = await listed(cameras, "us-east-1")
    absent = {name for name, value in door.items() if value is None}
    assert absent == {
        "StatusMessage", "Codec", "Width", "Height", "FramesPerSecond", "LastFragmentTimestamp"
    }  # fmt: skip
    assert (door["Status"], door["StreamName"], door["ProcessorName"]) == (
        "CONNECTING",
        "front",
        "door",
    )
    [hall] = await listed(cameras, "eu-west-1")
    assert hall["ProcessorName"] is None


def test_every_member_of_the_model_is_told() -> None:
    feed = FeedView(
        CameraStatus.LIVE, "", "hevc", 1920, 1080, 25.0, True, 5e5, 123, 4, 1.5e9, 2, 3
    )  # fmt: skip
    told = camera_members(CameraView.of(DOOR, feed, ("", "Its processor is otherwise.")))
    assert told.keys() == MEMBERS.keys()
    assert None not in told.values()
    assert told["StatusMessage"] == "Its processor is otherwise."
    assert (told["Bytes"], told["Fragments"], told["Reconnects"], told["PacketsDropped"]) == (
        123, 4, 2, 3,
    )  # fmt: skip
