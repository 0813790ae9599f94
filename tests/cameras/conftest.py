"""The embedded services as cameras reach them: from inside, with the cameras' own rights."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from streamproc.access.internal import camera_caller
from streamproc.aws import AwsClients
from streamproc.camera_world import CameraWorld
from streamproc.cameras.view import Camera
from streamproc.clock import SystemClock
from streamproc.config import load_config
from streamproc.errors import CollectionNotFound
from streamproc.gateway.inside import InsideServices
from streamproc.local import kinesis_data, kinesis_video
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.supervisor import Supervisor
from streamproc.settings import AwsConfig, DataConfig, EndpointsConfig, VideoConfig
from tests.local.kinesis_video.support import ACCOUNT, REGION, VideoService


class OneCollection:
    """Collections as far as a camera asks: there is "family"."""

    async def describe(self, _region: str, collection_id: str) -> None:
        if collection_id != "family":
            raise CollectionNotFound(collection_id)


@dataclass
class Inside:
    """Both services, a supervisor, and a camera, door, with what leads to them."""

    video: VideoService
    data: kinesis_data.DataStreams
    clients: AwsClients
    supervisor: Supervisor
    world: CameraWorld

    @property
    def door(self) -> Camera:
        return self.world.cameras[0]

    def client(self, service: str) -> Any:
        return self.clients.open(service, REGION)


@pytest.fixture(scope="session")
def camera_boto_session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture
async def inside(tmp_path: Path, camera_boto_session: boto3.Session) -> AsyncIterator[Inside]:
    clock = SystemClock()
    video = VideoService(tmp_path / "video", camera_boto_session, clock)
    await video.start(VideoConfig())
    data = await kinesis_data.DataStreams.open(tmp_path / "data.db", DataConfig(), ACCOUNT, clock)
    streams = [
        kinesis_data.service.bind(data),
        kinesis_video.control.bind(video.streams),
        kinesis_video.media.bind(video.streams),
    ]
    services = InsideServices(streams, account_id=ACCOUNT, caller=camera_caller(ACCOUNT))
    clients = AwsClients(EndpointsConfig(), AwsConfig(read_timeout_s=60), inside=services)
    config = load_config(
        None,
        {
            "cameras": {
                "door": {
                    "url": "rtsp://u:geheim@127.0.0.1:1/x",
                    "collection": "family",
                    "retention_hours": 1,
                }
            }
        },
    )
    supervisor = await Supervisor.open(
        tmp_path / "processors.db", ScriptedWorld(), config.processors, config.sink, clock
    )

    async def ready() -> None:
        """They are there."""

    collections: Any = OneCollection()
    world = CameraWorld(config, clients, supervisor, collections, clock, ready=ready)
    yield Inside(video, data, clients, supervisor, world)
    await supervisor.aclose()
    await data.aclose()
    await video.stop()
