"""A processor with everything around it, driven from outside as a user would."""

import asyncio
import json
import math
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import web

from streamproc.cli.demo_video import EILEEN, FPS, encode, scene

ROOT = Path(__file__).resolve().parent.parent.parent
ROLE = "arn:aws:iam::000000000000:role/any"

# However slow the machine that runs the tests: every frame that is due is analysed.
EVERY_FRAME = (
    "--set", "processors.start_at=earliest", "--set", "processors.analysis_fps_min=5",
    "--set", "processors.lag_max_s=600",
)  # fmt: skip


@dataclass
class Rig:
    """One daemon's clients, and the names that the tests use."""

    daemon: Any
    wait_until: Callable[..., Any]

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        """Make the clients, anew after a restart: the port is another one."""
        for name in ("rekognition", "kinesis", "kinesisvideo"):
            setattr(self, name, self.daemon.client(name))

    rekognition: Any = None
    kinesis: Any = None
    kinesisvideo: Any = None

    def streams(self, name: str = "cam") -> tuple[str, str]:
        """Make a video and a data stream of this name; their ARNs."""
        video = self.kinesisvideo.create_stream(StreamName=name, DataRetentionInHours=24)
        self.kinesis.create_stream(StreamName=name, ShardCount=1)
        data = self.kinesis.describe_stream_summary(StreamName=name)
        return video["StreamARN"], data["StreamDescriptionSummary"]["StreamARN"]

    def create(
        self, video_arn: str, data_arn: str, name: str = "cam", collection: str = "people",
        threshold: float = 90.0,
    ) -> None:  # fmt: skip
        self.rekognition.create_stream_processor(
            Name=name,
            Input={"KinesisVideoStream": {"Arn": video_arn}},
            Output={"KinesisDataStream": {"Arn": data_arn}},
            Settings={"FaceSearch": {"CollectionId": collection, "FaceMatchThreshold": threshold}},
            RoleArn=ROLE,
        )

    def status(self, name: str = "cam") -> str:
        return str(self.rekognition.describe_stream_processor(Name=name)["Status"])

    def await_status(self, status: str, name: str = "cam") -> dict[str, Any]:
        def described() -> Any:
            return self.rekognition.describe_stream_processor(Name=name)

        self.wait_until(lambda: described()["Status"] == status, 30.0, described)
        return dict(described())

    def start(self, name: str = "cam") -> None:
        self.rekognition.start_stream_processor(Name=name)
        self.await_status("RUNNING", name)

    def enrol(self, picture: bytes, external_id: str, collection: str = "people") -> str:
        answer = self.rekognition.index_faces(
            CollectionId=collection, ExternalImageId=external_id, Image={"Bytes": picture}
        )
        return str(answer["FaceRecords"][0]["Face"]["FaceId"])

    def expected(self, name: str = "cam", fps: float = 5.0) -> list[tuple[str, float]]:
        """The keys of the records that are due for the clip, told from the archive alone."""
        archive = self.daemon.client("kinesis-video-archived-media")
        pages = archive.get_paginator("list_fragments").paginate(StreamName=name)
        fragments = [fragment for page in pages for fragment in page["Fragments"]]
        due, last_slot = [], None
        for fragment in sorted(fragments, key=lambda item: int(item["FragmentNumber"])):
            start_ms = round(fragment["ProducerTimestamp"].timestamp() * 1000)
            for offset_ms in range(0, 1000, 1000 // FPS):  # the clip has a keyframe every second
                slot = slot_of(start_ms + offset_ms, fps)
                if slot != last_slot:
                    due.append((fragment["FragmentNumber"], float(np.float32(offset_ms / 1000))))
                last_slot = slot
        return due

    def records(self, name: str = "cam") -> list[dict[str, Any]]:
        """Everything in the data stream, oldest first."""
        return read_all(self.kinesis, name)


def read_all(kinesis: Any, stream: str) -> list[dict[str, Any]]:
    """Every record of a stream, by a consumer that knows nothing of us."""
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator)
            found += [json.loads(record["Data"]) for record in answer["Records"]]
            iterator = answer["NextShardIterator"]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
    return found


def slot_of(media_ms: int, fps: float) -> int:
    """Which slot of 1/fps seconds a frame falls into, 1.5 ms of rounding allowed for."""
    return math.floor(Fraction(2 * media_ms + 3, 2000) * Fraction(fps))


def key_of(record: dict[str, Any]) -> tuple[str, float]:
    """A record's natural identity: its fragment, and where in it."""
    video = record["InputInformation"]["KinesisVideo"]
    return video["FragmentNumber"], video["FrameOffsetInSeconds"]


@pytest.fixture
def aws_cli() -> Callable[..., dict[str, Any]]:
    """Run an unmodified `aws rekognition ...` against a daemon; what it answers."""
    aws = ROOT / ".venv-awscli" / "bin" / "aws"
    if not aws.exists():
        pytest.skip("aws-cli is not installed beside the project; `make test` installs it")

    def run(url: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [str(aws), "rekognition", *arguments, "--endpoint-url", url,
             "--region", "us-east-1", "--output", "json"],
            capture_output=True, text=True, timeout=90, check=False,
            env={"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "test",
                 "AWS_SECRET_ACCESS_KEY": "test"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout or "{}"))

    return run


@pytest.fixture(name="read_all")
def _read_all() -> Callable[..., list[dict[str, Any]]]:
    return read_all


@pytest.fixture(name="slot_of")
def _slot_of() -> Callable[[int, float], int]:
    return slot_of


@pytest.fixture(name="key_of")
def _key_of() -> Callable[[dict[str, Any]], tuple[str, float]]:
    return key_of


@pytest.fixture
def every_frame() -> tuple[str, ...]:
    return EVERY_FRAME


@pytest.fixture
def rig_with(start_daemon: Any, wait_until: Any) -> Callable[..., Rig]:
    """Start a fresh daemon with these options, and an empty collection, people."""

    def start(*options: str, engine: str = "insightface") -> Rig:
        daemon = start_daemon(*EVERY_FRAME, *options, engine=engine)
        rig = Rig(daemon, wait_until)
        rig.rekognition.create_collection(CollectionId="people")
        return rig

    return start


@pytest.fixture
def rig(rig_with: Callable[..., Rig]) -> Rig:
    """The same with the dlib engine, which needs no test data."""
    return rig_with(engine="dlib")


@pytest.fixture(scope="session")
def serve_in_thread() -> Callable[[web.Application], AbstractContextManager[str]]:
    """Serve a small application of the test's own on a free port; yields its URL."""

    @contextmanager
    def serve(app: web.Application) -> Iterator[str]:
        loop = asyncio.new_event_loop()
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        async def start() -> str:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return "http://{}:{}".format(*runner.addresses[0][:2])

        try:
            yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    return serve


@pytest.fixture(scope="session")
def eileen_png() -> bytes:
    return bytes(cv2.imencode(".png", EILEEN.portrait())[1].tobytes())


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins in view for six seconds of rendered H.264, a keyframe every second."""
    file = tmp_path_factory.mktemp("clip") / "eileen.mp4"
    encode(file, (scene(0.8 + number / FPS * 0.33) for number in range(6 * FPS)))
    return file
