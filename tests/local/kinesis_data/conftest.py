"""The embedded Kinesis Data service on a free port, driven by boto3."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from aiohttp import web
from botocore.config import Config

from streamproc.clock import FakeClock
from streamproc.gateway.app import build_app
from streamproc.local.kinesis_data import DataStreams, service
from streamproc.settings import DataConfig

T = TypeVar("T")
ACCOUNT = "111122223333"
REGION = "eu-west-1"


class LocalKinesis:
    """One run of the service in a thread; stop() and start() again are a restart."""

    def __init__(self, path: Path, session: boto3.Session, **config: Any) -> None:
        self.clock = FakeClock()
        self._path = path
        self._session = session
        self._config = DataConfig(**config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.start()

    def start(self) -> None:
        self.streams, self._runner, self.url = self.run(self._serve())

    async def _serve(self) -> tuple[DataStreams, web.AppRunner, str]:
        streams = await DataStreams.open(self._path, self._config, ACCOUNT, self.clock)
        app = build_app(
            [service.bind(streams)],
            account_id=ACCOUNT,
            region=REGION,
            request_bytes_max=32 * 1024 * 1024,
        )
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return streams, runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    def stop(self) -> None:
        self.run(self._runner.cleanup())
        self.run(self.streams.aclose())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the service runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def advance(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))

    def client(self, region: str = REGION) -> Any:
        return self._session.client(
            "kinesis",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"max_attempts": 0}),
        )


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture
def local_kinesis(tmp_path: Path, session: boto3.Session) -> Iterator[Callable[..., LocalKinesis]]:
    """local_kinesis(**settings of [data]) starts the service."""
    running: list[LocalKinesis] = []

    def start(**config: Any) -> LocalKinesis:
        running.append(LocalKinesis(tmp_path / "data.sqlite", session, **config))
        return running[-1]

    yield start
    for local in running:
        local.close()


@pytest.fixture
def local(local_kinesis: Callable[..., LocalKinesis]) -> LocalKinesis:
    return local_kinesis()


@pytest.fixture
def kinesis(local: LocalKinesis) -> Any:
    """A boto3 client of the local service."""
    return local.client()


@pytest.fixture
def read_all() -> Callable[..., list[dict[str, Any]]]:
    """read_all(client, stream, shard_id, limit=…, **how) reads a shard to its tip."""

    def read(
        client: Any,
        stream: str,
        shard_id: str = "shardId-000000000000",
        *,
        kind: str = "TRIM_HORIZON",
        limit: int = 10_000,
        **how: Any,
    ) -> list[dict[str, Any]]:
        iterator = client.get_shard_iterator(
            StreamName=stream, ShardId=shard_id, ShardIteratorType=kind, **how
        )["ShardIterator"]
        found: list[dict[str, Any]] = []
        while True:
            page = client.get_records(ShardIterator=iterator, Limit=limit)
            found += page["Records"]
            iterator = page["NextShardIterator"]
            if page["MillisBehindLatest"] == 0:
                return found

    return read
