"""A camera's streams and processor, in the services of the same process."""

import asyncio
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from streamproc.cameras.arrangement import arrange
from streamproc.processor.state import ProcessorState
from tests.cameras.conftest import Inside
from tests.local.kinesis_video.support import REGION, eventually

KEY = (REGION, "door")


async def test_streams_are_made_once_however_many_ask(inside: Inside) -> None:
    world, door = inside.world, replace(inside.door, retention_hours=48)
    arns = await asyncio.gather(*(world.video_stream(door) for _ in range(3)))
    assert len(set(arns)) == 1
    stream = inside.video.streams.find(REGION, "door")
    assert stream is not None
    assert inside.video.streams.arn(stream.info) == arns[0]
    assert stream.info.retention_hours == 48
    first, second = await asyncio.gather(*(world.data_stream(door) for _ in range(2)))
    assert first == second
    assert first.endswith("stream/door-faces")


async def test_a_camera_that_ends_leaves_no_stream_half_made(inside: Inside) -> None:
    asking = asyncio.create_task(inside.world.video_stream(inside.door))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await inside.world.aclose()
    stream = inside.video.streams.find(REGION, "door")
    assert stream is None or await inside.world.video_stream(inside.door)


async def test_the_real_processor_is_made_started_and_then_left_alone(inside: Inside) -> None:
    supervisor, told = inside.supervisor, list[str]()
    await arrange(inside.door, inside.world, told.append)
    assert supervisor.describe(KEY).state is not ProcessorState.STOPPED
    await supervisor.stop(KEY)
    await eventually(lambda: supervisor.describe(KEY).state is ProcessorState.STOPPED)
    await arrange(inside.door, inside.world, told.append)
    assert supervisor.describe(KEY).state is ProcessorState.STOPPED
    assert told == ["", ""]


async def test_one_that_was_made_and_never_started_is_told_from_one_that_rests(
    inside: Inside,
) -> None:
    async def nothing(_: object) -> None:
        """A crash came before the start."""

    start, inside.world.start_processor = inside.world.start_processor, nothing  # type: ignore[method-assign,assignment]
    await arrange(inside.door, inside.world, lambda _: None)
    assert inside.supervisor.describe(KEY).state is ProcessorState.STOPPED
    inside.world.start_processor = start  # type: ignore[method-assign]
    await arrange(inside.door, inside.world, lambda _: None)
    assert inside.supervisor.describe(KEY).state is not ProcessorState.STOPPED


async def test_only_its_own_collection_is_waited_for(inside: Inside) -> None:
    assert await inside.world.has_collection(inside.door)
    assert not await inside.world.has_collection(replace(inside.door, collection="people"))


@pytest.mark.parametrize(
    ("service", "method", "members"),
    [
        ("kinesisvideo", "delete_stream", {"StreamARN": "arn:aws:kinesisvideo:r:1:stream/door/1"}),
        ("kinesisvideo", "list_streams", {}),
        ("kinesis", "delete_stream", {"StreamName": "door-faces"}),
        ("kinesis", "list_shards", {"StreamName": "door-faces"}),
    ],
)
async def test_a_camera_may_do_no_more_than_it_needs(
    inside: Inside, service: str, method: str, members: dict[str, object]
) -> None:
    async with inside.client(service) as client:
        with pytest.raises(ClientError, match="AccessDenied"):
            await getattr(client, method)(**members)


async def test_the_password_is_in_nothing_that_is_shown(inside: Inside) -> None:
    feed = inside.world.feed(inside.door)
    assert "geheim" not in f"{inside.door} {feed.view()} {feed}"
    assert inside.door.url == "rtsp://u:***@127.0.0.1:1/x"
