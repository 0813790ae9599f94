"""The embedded services as a processor reaches them, over the wire and from inside: the same
media, records and refusals, and no place that stays taken."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web

from streamproc.access.internal import internal_caller
from streamproc.aws import AwsClients
from streamproc.clock import SystemClock
from streamproc.errors import PermanentFailure
from streamproc.gateway.app import build_app
from streamproc.gateway.inside import InsideServices
from streamproc.kvs.consumer import open_source
from streamproc.local import kinesis_data, kinesis_video
from streamproc.model.caller import ANYONE
from streamproc.model.media import FragmentEnded, MediaEvent, Packet
from streamproc.model.position import StartAt
from streamproc.model.processor import ProcessorSpec
from streamproc.model.record import Entry
from streamproc.settings import AwsConfig, DataConfig, EndpointsConfig, SinkConfig, VideoConfig
from streamproc.sink.kinesis import KinesisSink
from tests.local.kinesis_video.support import ACCOUNT, HEADER, REGION, VideoService, cluster

DATA_ARN = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/faces"


@dataclass
class Embedded:
    """Both services with a stream each, and the clients of a processor."""

    video: VideoService
    consumer: Any  # of Kinesis Data, with every right
    clients: AwsClients
    spec: ProcessorSpec
    reports: list[str] = field(default_factory=list)

    @property
    def followers(self) -> int:
        stream = self.video.streams.find(REGION, "cam")
        assert stream is not None
        return stream.followers.size

    def source(self) -> Any:
        return open_source(self.clients, self.spec, self.reports.append, SystemClock())

    @asynccontextmanager
    async def sink(self, delivered: list[Entry], arn: str = DATA_ARN) -> AsyncIterator[KinesisSink]:
        async with (
            self.clients.open("kinesis", REGION, retries={"max_attempts": 0}) as client,
            KinesisSink(client, arn, SinkConfig(), delivered.extend, self.reports.append) as sink,
        ):
            yield sink


@pytest.fixture(scope="module")
def boto_session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture(params=["wire", "inside"])
async def embedded(
    request: pytest.FixtureRequest, tmp_path: Path, boto_session: boto3.Session
) -> AsyncIterator[Embedded]:
    video = VideoService(tmp_path / "video", boto_session, SystemClock())
    await video.start(VideoConfig(get_media_per_stream_max=2))
    data = await kinesis_data.DataStreams.open(
        tmp_path / "data.db", DataConfig(), ACCOUNT, SystemClock()
    )
    await data.create(
        REGION, "faces", shard_count=1, mode="PROVISIONED", record_bytes_max=1 << 20, tags={}
    )
    bound = [
        kinesis_data.service.bind(data),
        kinesis_video.control.bind(video.streams),
        kinesis_video.media.bind(video.streams),
    ]
    app = build_app(bound, account_id=ACCOUNT, region=REGION, request_bytes_max=32 * 1024 * 1024)
    runner = web.AppRunner(app, shutdown_timeout=5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    inside = InsideServices(bound, account_id=ACCOUNT, caller=internal_caller(ACCOUNT))
    clients = AwsClients(
        EndpointsConfig(),
        AwsConfig(read_timeout_s=60),
        url,
        inside=inside if request.param == "inside" else None,
    )
    video.streams.public_url = url
    spec = ProcessorSpec(
        region=REGION,
        name="watch",
        video_stream_arn=await video.create(),
        data_stream_arn=DATA_ARN,
        collection_id="people",
        face_match_threshold=80,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/streamproc",
    )
    everything = InsideServices(bound, account_id=ACCOUNT, caller=ANYONE)
    consumer = everything.client("kinesis", REGION, read_timeout_s=60)
    yield Embedded(video, consumer, clients, spec)
    await runner.cleanup()
    await data.aclose()
    await video.stop()


async def until(
    events: AsyncIterator[MediaEvent], condition: Callable[[list[MediaEvent]], bool]
) -> list[MediaEvent]:
    seen: list[MediaEvent] = []
    async with asyncio.timeout(60):
        async for event in events:
            seen.append(event)
            if condition(seen):
                return seen
    raise AssertionError(f"the source ended after {seen}")


def whole(count: int) -> Callable[[list[MediaEvent]], bool]:
    return lambda seen: sum(isinstance(event, FragmentEnded) for event in seen) == count


async def test_media_arrives_whole_and_in_order(embedded: Embedded) -> None:
    sizes = (300, 200_000)  # a chunk of the archive is 256 KiB
    clusters = [cluster(1000 * number, size=sizes[number % 2]) for number in range(4)]
    pushed = await embedded.video.push(HEADER, *clusters)
    async with embedded.source() as source, aclosing(source.events(StartAt.EARLIEST)) as events:
        seen = await until(events, whole(4))
    ended = [event for event in seen if isinstance(event, FragmentEnded)]
    assert [event.number for event in ended] == pushed
    assert all(event.complete for event in ended)
    packets = [event for event in seen if isinstance(event, Packet)]
    assert [len(packet.payload) for packet in packets] == [
        size for size in sizes * 2 for _ in range(4)
    ]
    assert embedded.reports == []


async def test_a_packet_is_there_before_its_fragment_ends(embedded: Embedded) -> None:
    first = cluster(0)
    async with embedded.source() as source, embedded.video.produce() as producer:
        producer.send(HEADER, first)
        await producer.until("BUFFERING")
        async with aclosing(source.events(StartAt.NOW)) as events:
            await until(events, lambda seen: isinstance(seen[-1], Packet))
            producer.send(cluster(1000))
            await until(events, whole(1))
        producer.end()


async def test_readers_are_counted_and_let_go(embedded: Embedded) -> None:
    await embedded.video.push(HEADER, cluster(0))
    async with embedded.source() as source:
        first, second, third = (source.events(StartAt.EARLIEST) for _ in range(3))
        for events in (first, second):
            await until(events, whole(1))
        assert embedded.followers == 2
        refused = asyncio.create_task(anext(third))
        async with asyncio.timeout(60):
            while not embedded.reports:  # noqa: ASYNC110 (a report has no event)
                await asyncio.sleep(0.01)
        assert "ConnectionLimitExceededException" in embedded.reports[0]
        refused.cancel()
        await asyncio.gather(refused, return_exceptions=True)
        for events in (first, second, third):
            await events.aclose()
        async with asyncio.timeout(60):
            while embedded.followers:  # noqa: ASYNC110 (a connection is let go by itself)
                await asyncio.sleep(0.01)


async def test_a_stream_that_is_deleted_ends_and_is_missing(embedded: Embedded) -> None:
    await embedded.video.push(HEADER, cluster(0))
    async with embedded.source() as source, aclosing(source.events(StartAt.EARLIEST)) as events:
        await until(events, whole(1))
        waiting = asyncio.create_task(anext(events))
        await embedded.video.call("delete_stream", StreamARN=embedded.spec.video_stream_arn)
        async with asyncio.timeout(60):
            while not embedded.reports:  # noqa: ASYNC110 (a report has no event)
                await asyncio.sleep(0.01)
        assert embedded.reports[0].startswith(
            ("Stream cam doesn't exist", "Kinesis Video answers ResourceNotFoundException")
        )
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_video_stream_that_never_was_is_named(embedded: Embedded) -> None:
    gone = embedded.spec.video_stream_arn.replace("/cam/", "/gone/")
    embedded.spec = replace(embedded.spec, video_stream_arn=gone)
    with pytest.raises(PermanentFailure, match=r"^Stream gone doesn't exist$"):
        async with embedded.source():
            pass


async def test_records_arrive_in_the_order_they_were_put(embedded: Embedded) -> None:
    entries = [Entry(f'{{"frame":{number}}}'.encode(), "cam") for number in range(40)]
    delivered: list[Entry] = []
    async with embedded.sink(delivered) as sink, asyncio.timeout(60):
        await sink.check()
        for entry in entries:
            await sink.put(entry)
        await sink.drain()
    assert delivered == entries
    iterator = await embedded.consumer.get_shard_iterator(
        StreamARN=DATA_ARN, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    page = await embedded.consumer.get_records(ShardIterator=iterator["ShardIterator"])
    stored = [Entry(record["Data"], record["PartitionKey"]) for record in page["Records"]]
    assert stored == entries
    assert embedded.reports == []


async def test_a_data_stream_that_never_was_is_named(embedded: Embedded) -> None:
    async with embedded.sink([], DATA_ARN.replace("faces", "gone")) as sink:
        with pytest.raises(PermanentFailure, match=r"^Stream gone under account \d+ not found$"):
            await sink.check()


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # aiohttp's
async def test_a_record_that_the_stream_does_not_take_is_refused_by_the_service(
    embedded: Embedded,
) -> None:
    async with embedded.sink([]) as sink, asyncio.timeout(60):
        await sink.put(Entry(b"x" * (1 << 20), "cam"))
        with pytest.raises(
            PermanentFailure, match=r"refused records .*\(InvalidArgumentException\)"
        ):
            await sink.drain()
