"""What jobs lean on in a daemon: models beside each other, and topics that do not answer well."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streamproc import job_world
from streamproc.aws import AwsClients
from streamproc.config import load_config
from streamproc.engines import nsfw, yolox
from streamproc.engines.fake import FakeEngine
from streamproc.engines.scheduler import Scheduler
from streamproc.errors import TransientFailure
from streamproc.job_world import BackgroundVision, StoredVideoModels, StoredVideoWorld
from streamproc.jobs.ports import Notice
from streamproc.settings import AwsConfig

TOPIC = "arn:aws:sns:eu-west-1:123456789012:AmazonRekognition-jobs"
NOTICE = Notice("eu-west-1", TOPIC, "arn:aws:iam::123456789012:role/any", "a" * 64, "{}")


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "daemon")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


# --- models ------------------------------------------------------------------------------


class Detector:
    version = "1"

    def __init__(self, *_: object) -> None:
        pass

    def detect(self, _: object) -> list[Any]:
        return []


async def test_a_model_that_loads_holds_up_nobody_who_uses_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading, may_load = threading.Event(), threading.Event()

    def load_slowly(*_: object) -> None:
        loading.set()
        assert may_load.wait(120)

    monkeypatch.setattr(job_world, "require_model", lambda name, folder: folder / name)
    monkeypatch.setattr(yolox, "YoloxDetector", Detector)
    monkeypatch.setattr(nsfw, "NsfwClassifier", load_slowly)
    scheduler = Scheduler(FakeEngine(), threads=1)
    models = StoredVideoModels(load_config(None, {}))
    vision = BackgroundVision(scheduler, models, "job")
    await asyncio.to_thread(models.detector)
    other = asyncio.create_task(asyncio.to_thread(models.classifier))
    await asyncio.to_thread(loading.wait, 60)
    rescue = threading.Timer(60, may_load.set)  # from an event loop that stands still
    rescue.start()
    assert await vision.objects(np.zeros((8, 8, 3), np.uint8)) == []
    assert not may_load.is_set()
    rescue.cancel()
    may_load.set()
    await other
    await scheduler.aclose()


# --- topics ------------------------------------------------------------------------------


class Topics:
    """An SNS that answers as told; notes who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.code = ""
        self.answers = asyncio.Event()
        self.answers.set()

    async def publish(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.answers.wait()
        if self.status == 200:
            text = "<PublishResponse><PublishResult/></PublishResponse>"
        else:
            text = f"<ErrorResponse><Error><Code>{self.code}</Code></Error></ErrorResponse>"
        return web.Response(status=self.status, text=text, content_type="text/xml")


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.fixture
def read_timeout_s() -> float:
    return 60.0


@pytest.fixture
async def world(
    topics: Topics, tmp_path: Path, read_timeout_s: float
) -> AsyncIterator[StoredVideoWorld]:
    app = web.Application()
    app.router.add_post("/", topics.publish)
    async with TestServer(app) as server:
        config = load_config(None, {"endpoints": {"sns": str(server.make_url("/"))}})
        clients = AwsClients(config.endpoints, AwsConfig(read_timeout_s=read_timeout_s), "")
        none: Any = None
        yield StoredVideoWorld(config, clients, none, none, none, none, tmp_path)
        topics.answers.set()


async def test_a_topic_that_accepts_is_asked_once(world: StoredVideoWorld, topics: Topics) -> None:
    await world.publish(NOTICE)
    assert topics.asked == 1


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (404, "NotFound"), (403, "AuthorizationError")]
)
async def test_a_refusal_is_told_with_its_reason_after_one_try(
    world: StoredVideoWorld, topics: Topics, status: int, code: str
) -> None:
    topics.status, topics.code = status, code
    with pytest.raises(TransientFailure, match=code):
        await world.publish(NOTICE)
    assert topics.asked == 1


@pytest.mark.parametrize("read_timeout_s", [0.5])
async def test_a_topic_that_takes_its_time_is_not_told_behind_the_sender_s_back(
    world: StoredVideoWorld, topics: Topics
) -> None:
    topics.answers.clear()  # it may have heard, so that each try may be told twice
    with pytest.raises(TransientFailure, match=r"(?i)timeout"):
        await world.publish(NOTICE)
    assert topics.asked == 1
