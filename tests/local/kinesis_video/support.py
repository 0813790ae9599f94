"""A live Kinesis Video service on a free port, a producer and a follower for it, and media."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import boto3
from aiobotocore.session import get_session
from botocore.config import Config

from streamproc.clock import Clock
from streamproc.gateway.app import build_app
from streamproc.gateway.server import Server
from streamproc.local.kinesis_video import VideoStreams, archived, control, media
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.splitter import (
    ClusterData,
    ClusterOpened,
    Header,
    Piece,
    ProducerSplitter,
    Trailing,
)
from streamproc.mkv.writer import MkvWriter
from streamproc.model.media import FragmentEnded, FragmentStarted, MediaEvent, Track, TrackKind
from streamproc.settings import ServerConfig, VideoConfig

SESSION = get_session()  # keeps the models it has loaded
ACCOUNT = "111122223333"
REGION = "us-east-1"
PATIENCE_S = 60.0  # far above what anything here takes; running into it is a failure
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

VIDEO = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"\x01\x4d\x40\x1e\x03\x01", 640, 360, "cam")
AUDIO = Track(2, TrackKind.AUDIO, "A_AAC", b"\x12\x10")
MKV = MkvWriter()
HEADER = MKV.header([VIDEO])
END_OF_FRAGMENT = MKV.tags([("AWS_KINESISVIDEO_END_OF_FRAGMENT", "")])


def cluster(timecode: int, *, frames: int = 4, step_ms: int = 250, size: int = 300) -> bytes:
    """A Cluster of unknown size; with the defaults, one second of video."""
    blocks = (
        MKV.block(1, index * step_ms, index == 0, bytes([timecode % 251, index]) * (size // 2))
        for index in range(frames)
    )
    return MKV.cluster(timecode) + b"".join(blocks)


def clusters_of(recording: bytes) -> list[bytes]:
    """The bytes of each Cluster and what follows it, as they stand in a producer's recording."""
    splitter = ProducerSplitter()
    found: list[bytes] = []
    pieces: list[Piece] = [*splitter.feed(recording), *splitter.close()]
    for piece in pieces:
        if isinstance(piece, ClusterOpened):
            found.append(b"")
        elif isinstance(piece, ClusterData | Trailing):
            found[-1] += piece.data
    return found


def header_of(recording: bytes) -> bytes:
    pieces = ProducerSplitter().feed(recording)
    return next(piece.data for piece in pieces if isinstance(piece, Header))


async def eventually(condition: Callable[[], Any]) -> Any:
    """Let everybody else run until the condition is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not (answer := condition()):  # noqa: ASYNC110 (what is awaited has no event)
            await asyncio.sleep(0.005)
    return answer


class Producer:
    """A PutMedia session: bytes go in when the test says so, acknowledgements are awaited."""

    def __init__(self) -> None:
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.response: aiohttp.ClientResponse
        self.seen: list[dict[str, Any]] = []

    @asynccontextmanager
    async def connect(
        self, url: str, headers: dict[str, str], params: dict[str, str] | None = None
    ) -> AsyncIterator[Self]:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            posted = session.post(
                f"{url}/putMedia",
                data=self._body(),
                headers=headers,
                params=params,
                expect100=True,  # as libcurl does; without it aiohttp holds the headers back
            )
            async with asyncio.timeout(PATIENCE_S):
                self.response = await posted
            try:
                yield self
            finally:
                self.response.close()

    async def _body(self) -> AsyncIterator[bytes]:
        while (data := await self._out.get()) is not None:
            yield data

    def send(self, *data: bytes) -> None:
        for chunk in data:
            self._out.put_nowait(chunk)

    async def sent(self) -> None:
        """Return once everything was taken up by the connection."""
        await eventually(self._out.empty)

    def end(self) -> None:
        self._out.put_nowait(None)

    async def ack(self) -> dict[str, Any] | None:
        """The next acknowledgement, None at the end of the answer."""
        async with asyncio.timeout(PATIENCE_S):
            line = await self.response.content.readline()
        if not line:
            return None
        assert line.endswith(b"\n")
        assert len(line) <= 1024
        ack: dict[str, Any] = json.loads(line)
        self.seen.append(ack)
        return ack

    async def until(self, event: str) -> dict[str, Any]:
        """Read acknowledgements until one of this type comes."""
        while (ack := await self.ack()) is not None:
            if ack["EventType"] == event:
                return ack
        raise AssertionError(f"no {event} in {self.seen}")

    async def rest(self) -> list[dict[str, Any]]:
        """Every acknowledgement up to the end of the answer."""
        while await self.ack() is not None:
            pass
        return self.seen


class Follower:
    """A GetMedia session, parsed as it arrives."""

    def __init__(self, payload: Any) -> None:
        self._payload = payload
        self._parser = FragmentParser()
        self._events: list[MediaEvent] = []
        self.raw = bytearray()

    async def read(self) -> bytes:
        """What has arrived, b"" at the end."""
        async with asyncio.timeout(PATIENCE_S):
            data: bytes = await self._payload.read(65536)
        self.raw += data
        return data

    async def next(self) -> MediaEvent | None:
        """The next event, None at the end."""
        while not self._events:
            data = await self.read()
            if not data:
                return None
            self._events += self._parser.feed(data)
        return self._events.pop(0)

    async def started(self) -> FragmentStarted:
        while not isinstance(event := await self.next(), FragmentStarted):
            assert event is not None, "the stream ended before a fragment began"
        return event

    async def ended(self) -> FragmentEnded:
        while not isinstance(event := await self.next(), FragmentEnded):
            assert event is not None, "the stream ended before the fragment did"
        return event

    async def numbers(self, count: int) -> list[str]:
        """The numbers of so many whole fragments."""
        ends = [await self.ended() for _ in range(count)]
        assert all(end.complete for end in ends)
        return [end.number for end in ends]

    async def at_end(self) -> bool:
        """True once the server has ended the answer; what is left of it is read."""
        while await self.read():
            pass
        return True


class VideoService:
    """One data folder, served; stop() and start() again are a restart."""

    def __init__(self, folder: Path, session: boto3.Session, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self._session = session
        self._clients: dict[str, Any] = {}

    async def start(self, config: VideoConfig | None = None, *, port: int = 0) -> Self:
        self.streams = await VideoStreams.open(
            self.folder, config or VideoConfig(), ACCOUNT, self.clock
        )
        bound = [service.bind(self.streams) for service in (control, media, archived)]
        app = build_app(bound, account_id=ACCOUNT, region=REGION, request_bytes_max=1_000_000)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._server = Server(app, ServerConfig())
        await self._server.start()
        self._server.listen(self._listener)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.streams.public_url = self.url
        self._clients.clear()
        return self

    async def stop(self) -> None:
        await self._server.aclose()
        self._listener.close()
        await self.streams.aclose()

    async def restart(self, config: VideoConfig | None = None) -> None:
        await self.stop()
        await self.start(config)

    def client(self, service: str, region: str = REGION) -> Any:
        """A plain boto3 client that tries once."""
        key = f"{service} {region}"
        if key not in self._clients:
            self._clients[key] = self._session.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_S),
                **CREDENTIALS,
            )
        return self._clients[key]

    async def call(self, operation: str, *, region: str = REGION, **members: Any) -> Any:
        """A control-plane operation through boto3, on a thread."""
        return await asyncio.to_thread(
            getattr(self.client("kinesisvideo", region), operation), **members
        )

    async def create(self, name: str = "cam", retention_hours: int = 1) -> str:
        answer = await self.call(
            "create_stream", StreamName=name, DataRetentionInHours=retention_hours
        )
        arn: str = answer["StreamARN"]
        return arn

    async def version(self, name: str = "cam") -> str:
        answer = await self.call("describe_stream", StreamName=name)
        version: str = answer["StreamInfo"]["Version"]
        return version

    @asynccontextmanager
    async def produce(
        self, name: str = "cam", *, timecodes: str = "RELATIVE", **headers: str
    ) -> AsyncIterator[Producer]:
        """Further keywords are headers, with underscores for hyphens."""
        sent = {
            "x-amzn-stream-name": name,
            "x-amzn-fragment-timecode-type": timecodes,
            **{key.replace("_", "-"): value for key, value in headers.items()},
        }
        async with Producer().connect(self.url, sent) as producer:
            yield producer

    async def push(self, *data: bytes, name: str = "cam", **options: str) -> list[str]:
        """Send a whole session; return the numbers of the fragments that were received."""
        async with self.produce(name, **options) as producer:
            producer.send(*data)
            producer.end()
            acks = await producer.rest()
        return [ack["FragmentNumber"] for ack in acks if ack["EventType"] == "RECEIVED"]

    @asynccontextmanager
    async def follow(
        self, name: str = "cam", start: str = "NOW", **selector: Any
    ) -> AsyncIterator[Follower]:
        options = {"endpoint_url": self.url, "region_name": REGION, **CREDENTIALS}
        async with SESSION.create_client("kinesis-video-media", **options) as client:
            answer = await client.get_media(
                StreamName=name, StartSelector={"StartSelectorType": start, **selector}
            )
            try:
                yield Follower(answer["Payload"])
            finally:
                answer["Payload"].close()

    async def list_fragments(self, name: str = "cam", **members: Any) -> list[dict[str, Any]]:
        """Every page."""
        client = self.client("kinesis-video-archived-media")
        found: list[dict[str, Any]] = []
        page = await asyncio.to_thread(client.list_fragments, StreamName=name, **members)
        found += page["Fragments"]
        while "NextToken" in page:
            page = await asyncio.to_thread(
                client.list_fragments,
                StreamName=name,
                NextToken=page["NextToken"],
                **({"MaxResults": members["MaxResults"]} if "MaxResults" in members else {}),
            )
            found += page["Fragments"]
        return found

    async def media_of(self, numbers: Sequence[str], name: str = "cam") -> bytes:
        client = self.client("kinesis-video-archived-media")
        answer = await asyncio.to_thread(
            client.get_media_for_fragment_list, StreamName=name, Fragments=list(numbers)
        )
        body: bytes = await asyncio.to_thread(answer["Payload"].read)
        return body


def events_of(body: bytes | bytearray) -> list[MediaEvent]:
    parser = FragmentParser()
    return [*parser.feed(body), *parser.close()]


def segment_files(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.segment")
