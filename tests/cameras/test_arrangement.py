"""A camera's processor is made and started once; then it is a person's own affair."""

import asyncio
from dataclasses import replace

import pytest

from streamproc.cameras.arrangement import COLLECTION_POLL_S, arrange
from streamproc.cameras.fake import FakeWorld
from streamproc.cameras.ports import ExistingProcessor
from streamproc.cameras.view import Camera
from streamproc.clock import FakeClock

DOOR = Camera(
    name="door", region="us-east-1", url="rtsp://user:***@camera/1", stream="door",
    collection="family", data_stream="door-faces",
)  # fmt: skip
KEY = ("us-east-1", "door")


class Told:
    def __init__(self) -> None:
        self.all: list[str] = []

    def __call__(self, text: str) -> None:
        self.all.append(text)


async def arranged(world: FakeWorld, camera: Camera = DOOR) -> str:
    """What is told in the end."""
    told = Told()
    await asyncio.wait_for(arrange(camera, world, told), 60)
    return told.all[-1]


async def existing(world: FakeWorld, *, was_started: bool, **changes: object) -> ExistingProcessor:
    """The processor as the camera wants it, but for the changes, as somebody left it."""
    other = FakeWorld(collections={"family"})
    await arranged(other)
    spec = replace(other.processors[KEY].spec, **changes)  # type: ignore[arg-type]
    found = world.processors[KEY] = ExistingProcessor(spec, was_started=was_started)
    return found


async def test_what_is_missing_is_made_and_started() -> None:
    world = FakeWorld(collections={"family"})
    assert await arranged(world) == ""
    spec = world.processors[KEY].spec
    assert spec.video_stream.name == "door"
    assert spec.data_stream.name == "door-faces"
    assert (spec.collection_id, spec.face_match_threshold) == ("family", 90.0)
    assert world.started == [KEY]


async def test_a_processor_that_a_person_stopped_stays_stopped() -> None:
    world = FakeWorld(collections={"family"})
    await existing(world, was_started=True)
    assert await arranged(world) == ""
    assert world.started == []
    assert world.asked["create_processor"] == world.asked["data_stream"] == 0


async def test_one_that_a_crash_left_unstarted_is_started() -> None:
    world = FakeWorld(collections={"family"})
    await existing(world, was_started=False)
    assert await arranged(world) == ""
    assert world.started == [KEY]


@pytest.mark.parametrize("was_started", [True, False])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"collection_id": "others"}, "its collection is others"),
        ({"face_match_threshold": 75.5}, "its face_match_threshold is 75.5"),
        (
            {"data_stream_arn": "arn:aws:kinesis:us-east-1:000000000000:stream/mine"},
            "its data stream is mine",
        ),
        (
            {"video_stream_arn": "arn:aws:kinesisvideo:us-east-1:000000000000:stream/yard/0"},
            "its video stream is yard",
        ),
        (
            {"video_stream_arn": "arn:aws:kinesisvideo:us-east-1:000000000000:stream/door/7"},
            "its video stream is a former door, deleted since",
        ),
    ],
)
async def test_one_with_other_settings_is_left_alone_and_told(
    changes: dict[str, object], told: str, was_started: bool
) -> None:
    world = FakeWorld(collections={"family"})
    before = await existing(world, was_started=was_started, **changes)
    words = await arranged(world)
    assert told in words
    assert "[cameras.door]" in words
    assert world.processors[KEY] == before
    assert world.started == []


async def test_it_starts_when_its_collection_is_there() -> None:
    world, clock, told = FakeWorld(), FakeClock(), Told()
    task = asyncio.create_task(arrange(DOOR, world, told, clock.sleep))
    await clock.advance(COLLECTION_POLL_S * 3)
    assert world.started == []
    assert "streamproc collections create family" in told.all[-1]
    world.collections.add("family")
    await clock.advance(COLLECTION_POLL_S)
    await asyncio.wait_for(task, 60)
    assert world.started == [KEY]
    assert told.all[-1] == ""


async def test_one_that_is_deleted_meanwhile_is_let_go() -> None:
    world, clock, told = FakeWorld(), FakeClock(), Told()
    task = asyncio.create_task(arrange(DOOR, world, told, clock.sleep))
    await clock.advance(COLLECTION_POLL_S)
    del world.processors[KEY]
    world.collections.add("family")
    await clock.advance(COLLECTION_POLL_S)
    await asyncio.wait_for(task, 60)
    assert world.started == []
    assert told.all[-1] == ""
