"""The sink with aiobotocore's real client, against moto and against our own service."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiobotocore.session import get_session
from aiohttp import web
from moto.server import ThreadedMotoServer

from streamproc.clock import SystemClock
from streamproc.errors import PermanentFailure
from streamproc.gateway.app import build_app
from streamproc.local.kinesis_data import DataStreams, service
from streamproc.model.record import Entry
from streamproc.settings import DataConfig, SinkConfig
from streamproc.sink.kinesis import KinesisSink

REGION = "eu-west-1"
OpenClient: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[str]:
    streams = await DataStreams.open(
        folder / "data.sqlite", DataConfig(), "123456789012", SystemClock()
    )
    app = build_app(
        [service.bind(streams)], account_id="123456789012", region=REGION,
        request_bytes_max=32 * 1024 * 1024,
    )  # fmt: skip
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await streams.aclose()


@pytest.fixture(params=["moto", "embedded"])
def open_client(request: pytest.FixtureRequest, tmp_path: Path) -> OpenClient:
    """An aiobotocore client of one of the services, as an async context."""

    @asynccontextmanager
    async def client_of(url: str) -> AsyncIterator[Any]:
        async with get_session().create_client(
            "kinesis", region_name=REGION, endpoint_url=url,
            aws_access_key_id="any", aws_secret_access_key="any",
        ) as client:  # fmt: skip
            yield client

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        if request.param == "moto":
            async with client_of(request.getfixturevalue("moto_url")) as client:
                yield client
        else:
            async with embedded(tmp_path) as url, client_of(url) as client:
                yield client

    return opened


async def make_stream(client: Any, name: str, shards: int) -> str:
    await client.create_stream(StreamName=name, ShardCount=shards)
    described = await client.describe_stream_summary(StreamName=name)
    return str(described["StreamDescriptionSummary"]["StreamARN"])


async def read_all(client: Any, stream: str) -> dict[str, list[Entry]]:
    """What a consumer reads, by shard."""
    found: dict[str, list[Entry]] = {}
    for shard in (await client.list_shards(StreamName=stream))["Shards"]:
        iterator = await client.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        page = await client.get_records(ShardIterator=iterator["ShardIterator"])
        found[shard["ShardId"]] = [
            Entry(record["Data"], record["PartitionKey"]) for record in page["Records"]
        ]
    return found


async def test_the_records_of_a_processor_arrive_in_order(open_client: OpenClient) -> None:
    entries = [Entry(f'{{"frame":{number}}}'.encode(), "cam") for number in range(40)]
    delivered: list[Entry] = []
    reports: list[str] = []
    async with open_client() as client:
        arn = await make_stream(client, "ordered", 2)
        async with KinesisSink(
            client, arn, SinkConfig(records_queued_max=8), delivered.extend, reports.append
        ) as sink:
            for entry in entries:
                await sink.put(entry)
            await sink.drain()
        assert delivered == entries
        found = await read_all(client, "ordered")
        assert sorted(found.values(), key=len) == [[], entries]
        assert reports == []


async def test_records_under_random_keys_spread_and_none_is_lost(open_client: OpenClient) -> None:
    entries = [Entry(str(number).encode(), f"key {number}") for number in range(300)]
    delivered: list[Entry] = []
    async with open_client() as client:
        arn = await make_stream(client, "spread", 3)
        config = SinkConfig(partition_key="random", records_per_batch_max=100)
        async with KinesisSink(client, arn, config, delivered.extend, lambda _: None) as sink:
            for entry in entries:
                await sink.put(entry)
            await sink.drain()
        assert delivered == entries
        found = await read_all(client, "spread")
        assert all(len(records) > 50 for records in found.values())
        everything = [entry for records in found.values() for entry in records]
        assert sorted(everything, key=lambda entry: int(entry.data)) == entries


async def test_a_stream_that_is_missing_is_named(open_client: OpenClient) -> None:
    async with open_client() as client:
        arn = f"arn:aws:kinesis:{REGION}:123456789012:stream/nowhere"
        async with KinesisSink(client, arn, SinkConfig(), lambda _: None, lambda _: None) as sink:
            await sink.put(Entry(b"", "cam"))
            with pytest.raises(
                PermanentFailure, match=r"^Stream nowhere under account 123456789012 not found$"
            ):
                await sink.drain()


async def test_a_missing_stream_is_known_before_the_first_record(open_client: OpenClient) -> None:
    async with open_client() as client:
        there = await make_stream(client, "there", 1)
        await KinesisSink(client, there, SinkConfig(), lambda _: None, lambda _: None).check()
        gone = there.replace("there", "gone")
        sink = KinesisSink(client, gone, SinkConfig(), lambda _: None, lambda _: None)
        with pytest.raises(PermanentFailure, match=r"^Stream gone under account \d+ not found$"):
            await sink.check()
