"""SIGTERM in the middle of everything: what can be delivered is, and the daemon ends in time."""

import asyncio
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.conftest import wait_until
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.end_to_end.films import FRAGMENT, documents, film, plain, put_media

STOP_TIMEOUT_S = 1.0
IN_TIME_S = 45.0  # far above what is promised, for a machine that is busy with other things
VIDEO = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/cam/1700000000000"
DATA = "arn:aws:kinesis:us-east-1:000000000000:stream/cam"


class Hanging:
    """A Kinesis Data and a Kinesis Video that answer until they do not answer any more."""

    def __init__(self) -> None:
        self.url = ""
        self.waiting = threading.Semaphore(0)  # one for each call that hangs

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/", self._kinesis)
        app.router.add_post("/getDataEndpoint", self._get_data_endpoint)
        app.router.add_post("/getMedia", self._get_media)
        return app

    async def _kinesis(self, request: web.Request) -> web.StreamResponse:
        if request.headers["X-Amz-Target"].endswith("PutRecords"):
            await self._hang()
        return web.json_response({"StreamDescriptionSummary": {}})

    async def _get_data_endpoint(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"DataEndpoint": self.url})

    async def _get_media(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        await response.prepare(request)
        await response.write(documents(film(plain(2 * FRAGMENT)))[0][:-300])
        await self._hang()
        return response

    async def _hang(self) -> None:
        self.waiting.release()
        await asyncio.sleep(600)


@pytest.fixture
def hanging(serve_in_thread: Any) -> Iterator[Hanging]:
    service = Hanging()
    with serve_in_thread(service.app()) as service.url:
        yield service


@contextmanager
def open_put_media(url: str, stream: str) -> Iterator[None]:
    """A producer in the middle of a fragment."""
    body = film()[:-200]
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        connection.putrequest("POST", "/putMedia")
        connection.putheader("x-amzn-stream-name", stream)
        connection.putheader("x-amzn-fragment-timecode-type", "RELATIVE")
        connection.putheader("x-amzn-fragment-acknowledgment-required", "1")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"%x\r\n%s\r\n" % (len(body), body))
        yield


def ended_in_time(daemon: Any) -> None:
    began = time.monotonic()
    assert daemon.stop() == 0, daemon.log
    assert time.monotonic() - began < IN_TIME_S
    assert "Traceback" not in daemon.log, daemon.log


def start_daemon_with(start_daemon: Callable[..., Any], *options: str) -> Rig:
    daemon = start_daemon(
        *EVERY_FRAME, "--set", f"processors.stop_timeout_s={STOP_TIMEOUT_S}", *options
    )
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    return rig


def test_with_a_data_stream_that_hangs_a_job_and_clients_that_stay(
    start_daemon: Any, hanging: Hanging, tmp_path: Path
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "long.mp4").write_bytes(film(plain(40) * 40))
    rig = start_daemon_with(
        start_daemon, "--set", f"endpoints.kinesis={hanging.url}",
        "--set", f"buckets.films={bucket}",
    )  # fmt: skip
    video = rig.kinesisvideo.create_stream(StreamName="cam", DataRetentionInHours=1)
    rig.create(video["StreamARN"], DATA)
    rig.start()
    put_media(rig.daemon.url, "cam", film())
    assert hanging.waiting.acquire(timeout=60)
    job = rig.rekognition.start_face_detection(
        Video={"S3Object": {"Bucket": "films", "Name": "long.mp4"}}
    )
    media = rig.daemon.client("kinesis-video-media")
    selector = {"StartSelectorType": "EARLIEST"}
    body = media.get_media(StreamName="cam", StartSelector=selector)["Payload"]
    assert body.read(100)
    with open_put_media(rig.daemon.url, "cam"):
        assert rig.rekognition.get_face_detection(JobId=job["JobId"])["JobStatus"] == "IN_PROGRESS"
        ended_in_time(rig.daemon)
    body.close()


def test_with_a_video_stream_that_hangs_in_mid_fragment(
    start_daemon: Any, hanging: Hanging
) -> None:
    rig = start_daemon_with(start_daemon, "--set", f"endpoints.kinesisvideo={hanging.url}")
    rig.kinesis.create_stream(StreamName="cam", ShardCount=1)
    rig.create(VIDEO, DATA)
    rig.start()
    assert hanging.waiting.acquire(timeout=60)
    wait_until(lambda: len(rig.records()) >= 1, 60.0)
    ended_in_time(rig.daemon)
