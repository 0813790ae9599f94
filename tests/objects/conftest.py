"""moto's S3 for boto3 and for the store, and a folder beside it."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiobotocore.session import AioSession, get_session
from botocore.loaders import create_loader
from moto.server import ThreadedMotoServer

from streamproc import aws
from streamproc.aws import AwsClients
from streamproc.clock import FakeClock
from streamproc.objects import s3 as s3_module
from streamproc.objects.store import ObjectStore
from streamproc.settings import AwsConfig, EndpointsConfig

REGION = "eu-west-1"


_LOADER = create_loader()


class NoWait(FakeClock):
    """Pauses are counted, not waited."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)


@pytest.fixture
def clock() -> NoWait:
    return NoWait()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own pauses are real ones."""
    monkeypatch.setitem(s3_module._CLIENT, "retries", {"total_max_attempts": 1})


@pytest.fixture(autouse=True)
def one_model_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's description of S3 takes longer to read than most tests take."""

    def session() -> AioSession:
        fresh = get_session()
        fresh.register_component("data_loader", _LOADER)
        return fresh

    monkeypatch.setattr(aws, "get_session", session)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(s3_url: str) -> Any:
    """boto3's client of an S3 with two buckets: clips, and versioned, which keeps versions."""
    reset = urllib.request.Request(f"{s3_url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(reset, timeout=60) as answer:
        assert json.load(answer)["status"] == "ok"
    client = boto3.client("s3", endpoint_url=s3_url, region_name=REGION)
    for bucket in ("clips", "versioned"):
        place = {"LocationConstraint": REGION}
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def store(s3_url: str, s3: Any, folder: Path, clock: NoWait) -> ObjectStore:
    """Bucket "local" is a folder, all others are in S3."""
    return store_at(s3_url, clock, folder)


def store_at(url: str, clock: NoWait, folder: Path | None = None) -> ObjectStore:
    clients = AwsClients(EndpointsConfig(s3=url), AwsConfig(), "")
    return ObjectStore({"local": folder} if folder else {}, clients, clock)
