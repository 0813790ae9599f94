"""A camera's streams and processor, in the services of the same process."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.aws import AwsClients
from streamproc.camera_world import CameraWorld
from streamproc.cameras.arrangement import arrange, disagreement
from streamproc.clock import FakeClock
from streamproc.config import load_config
from streamproc.errors import ConfigError
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


async def test_a_camera_that_ends_while_its_stream_is_made_leaves_nothing_in_the_way(
    inside: Inside,
) -> None:
    """Cancelled at every step of it: who asks next has the stream, and it is ACTIVE."""
    was_cancelled = 0
    for steps in range(0, 120, 6):
        camera = replace(inside.door, stream=f"door-{steps}")
        asking = asyncio.create_task(inside.world.video_stream(camera))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        [outcome] = await asyncio.gather(asking, return_exceptions=True)
        was_cancelled += isinstance(outcome, asyncio.CancelledError)
        async with asyncio.timeout(60):
            arn = await inside.world.video_stream(camera)
        stream = inside.video.streams.find(REGION, camera.stream)
        assert stream is not None
        assert inside.video.streams.arn(stream.info) == arn
    assert was_cancelled


async def test_a_stream_that_was_deleted_and_made_again_is_told(inside: Inside) -> None:
    await arrange(inside.door, inside.world, lambda _: None)
    assert disagreement(inside.door, inside.world) == ""
    stream = inside.video.streams.find(REGION, "door")
    assert stream is not None
    await inside.video.streams.delete(stream, None)
    former = inside.world.video_arn(inside.door)

    assert await inside.world.video_stream(inside.door) != former
    assert "a former door, deleted since" in disagreement(inside.door, inside.world)


@pytest.mark.parametrize(
    "text",
    [
        '"rtsp://admin:ge-heim@127.0.0.1:9/1"\n',
        "URL=rtsp://admin:ge-heim@127.0.0.1:9/1\n",
    ],
)
def test_a_url_file_with_more_than_a_url_is_refused_without_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "door.url"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        world_of({"door.url_file": str(file)})
    assert "cameras.door.url_file" in str(caught.value)
    assert "ge-heim" not in str(caught.value)


def test_a_url_file_may_be_one_of_windows(tmp_path: Path) -> None:
    file = tmp_path / "door.url"
    file.write_bytes(b"\xef\xbb\xbfrtsp://admin:ge-heim@127.0.0.1:9/1\r\n")
    [door] = world_of({"door.url_file": str(file)}).cameras
    assert door.url == "rtsp://admin:***@127.0.0.1:9/1"


def test_two_cameras_of_one_stream_are_refused_however_it_is_written() -> None:
    door, gate = {"door.url": "webcam:0"}, {"gate.url": "webcam:1", "gate.stream": "door"}
    for same in ({}, {"gate.region": "us-east-1"}, {"door.region": "us-east-1"}):
        with pytest.raises(ConfigError, match="door and gate have the same video stream, door of"):
            world_of(door | gate | same)
    assert len(world_of(door | gate | {"gate.region": "eu-west-1"}).cameras) == 2


def test_pictures_that_the_encoder_was_too_slow_for_are_counted() -> None:
    world = world_of({"door.url": "webcam:0"})
    feed: Any = world.feed(world.cameras[0])
    feed._feed._pictures_dropped = 3
    assert feed.view().packets_dropped_total == 3


def world_of(cameras: dict[str, Any]) -> CameraWorld:
    """Of a config's [cameras], which leads nowhere."""
    config = load_config(None, {"cameras": cameras})
    clients = AwsClients(config.endpoints, config.aws)
    nobody: Any = None
    return CameraWorld(config, clients, nobody, nobody, FakeClock(), ready=nobody)


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
