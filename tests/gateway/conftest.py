"""A gateway on a free port, and real clients for it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
import boto3
import pytest
from aiohttp import web
from botocore.config import Config

from streamproc.gateway.app import build_app
from streamproc.gateway.dispatch import BoundService

Serve: TypeAlias = Callable[..., Awaitable[str]]
Fetch: TypeAlias = Callable[..., Awaitable["Fetched"]]
Client: TypeAlias = Callable[..., Any]
Call: TypeAlias = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The whole of an HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a gateway with the given services; gives its base URL."""
    runners: list[web.AppRunner] = []

    async def start(*services: BoundService, request_bytes_max: int = 1_000_000) -> str:
        app = build_app(
            services,
            account_id="111122223333",
            region="us-east-1",
            request_bytes_max=request_bytes_max,
        )
        runner = web.AppRunner(app, shutdown_timeout=5)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client, for what no AWS client would send."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def fetch(http: aiohttp.ClientSession) -> Fetch:
    """Send one request and read its whole answer."""

    async def send(method: str, url: str, **options: Any) -> Fetched:
        async with http.request(method, url, **options) as answer:
            return Fetched(answer.status, answer.headers, await answer.read())

    return send


@pytest.fixture
def client() -> Client:
    """Make a boto3 client that checks nothing by itself and tries once."""

    def make(service: str, url: str, region: str = "eu-west-1", **options: Any) -> Any:
        config = Config(
            parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=60
        )
        session = options.pop("session", boto3)
        return session.client(
            service,
            endpoint_url=url,
            region_name=region,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
            config=options.pop("config", config),
            **options,
        )

    return make


@pytest.fixture
def call() -> Call:
    """Run a blocking call of boto3 while the server, on this loop, answers it."""
    return asyncio.to_thread
