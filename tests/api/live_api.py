"""The Rekognition operations, live on a free port, over painted faces or a real pack."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import boto3
import numpy as np
from aiohttp import web
from botocore.config import Config as ClientConfig
from PIL import Image as Pillow

from streamproc.api import ApiServices, rekognition
from streamproc.api.pictures import PictureSource
from streamproc.api.tag_store import TagStore
from streamproc.aws import AwsClients
from streamproc.clock import SystemClock
from streamproc.collection.service import CollectionService
from streamproc.config import Config, load_config
from streamproc.engines.base import FaceEngine
from streamproc.engines.fake import FakeEngine
from streamproc.gateway.app import build_app
from streamproc.model.face import Face
from streamproc.model.media import Image
from streamproc.model.processor import ProcessorKey
from streamproc.objects.store import ObjectStore
from streamproc.processor.supervisor import Supervisor, UnknownProcessor

ACCOUNT = "123456789012"
REGION = "eu-west-1"


class OneProcessor:
    """A supervisor that knows one processor, "door"; only what tags ask of it."""

    def describe(self, key: ProcessorKey) -> None:
        if key != (REGION, "door"):
            raise UnknownProcessor(f"there is no stream processor {key[1]} in {key[0]}")


class DirectAnalyser:
    """An engine without a scheduler in front."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine

    async def analyse(self, image: Image, owner: str, *, attributes: bool = False) -> list[Face]:
        return (await asyncio.to_thread(self._engine.analyse, [image], attributes=attributes))[0]


@contextmanager
def live_api(
    folder: Path, engine: FaceEngine, settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Serve on a thread of its own, since boto3 blocks; gives the URL."""
    config = load_config(None, settings)
    started: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    serving = loop.create_task(_serve(folder, engine, config, started, stop))
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(started.get(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


async def _serve(
    folder: Path,
    engine: FaceEngine,
    config: Config,
    started: asyncio.Queue[str],
    stop: asyncio.Event,
) -> None:
    clock = SystemClock()
    collections = await CollectionService.open(
        folder / "collections.sqlite", engine.info, engine.similarity, engine.cosine, ACCOUNT, clock
    )
    tags = await TagStore.open(folder / "tags.sqlite", config.processors.tags_max)
    objects = ObjectStore(config.buckets.root, AwsClients(config.endpoints, config.aws, ""))
    services = ApiServices(
        supervisor=cast("Supervisor", OneProcessor()),
        collections=collections,
        scheduler=DirectAnalyser(engine),
        tags=tags,
        images=PictureSource(config.faces, objects),
        objects=objects,
        jobs=cast("Any", None),  # tested with a whole daemon around it
        config=config,
    )
    app = build_app(
        [rekognition.bind(services)],
        account_id=ACCOUNT,
        region=REGION,
        request_bytes_max=config.server.request_bytes_max,
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    started.put_nowait(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await stop.wait()
    await runner.cleanup()
    await collections.aclose()
    await tags.aclose()


def client_of(url: str, region: str = REGION) -> Any:
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=ClientConfig(retries={"max_attempts": 0}),
    )


def painted(*persons: tuple[int, int, int, int], width: int = 320, height: int = 240) -> bytes:
    """A PNG of squares on grey: (person, left, top, size) each, in pixels."""
    image = np.full((height, width, 3), 90, np.uint8)
    for person, left, top, size in persons:
        FakeEngine.paint(image, person, left, top, size)
    return png(image)


def png(image: Image) -> bytes:
    """A BGR array as a PNG."""
    file = BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1])).save(file, "PNG")
    return file.getvalue()
