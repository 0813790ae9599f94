"""Streaming bodies, in both directions, with clients that stay and clients that leave."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from streamproc.gateway.app import build_app
from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import BodyCut, ResourceNotFound
from streamproc.gateway.streams import StreamSender

Serve = Callable[..., Awaitable[str]]
Fetch = Callable[..., Awaitable[Any]]

PUT_MEDIA = {
    "operations": {
        "PutMedia": {
            "name": "PutMedia",
            "http": {"method": "POST", "requestUri": "/putMedia"},
            "input": {"shape": "PutMediaInput"},
            "output": {"shape": "PutMediaOutput"},
            "errors": [{"shape": "ResourceNotFoundException"}],
        }
    },
    "shapes": {
        "PutMediaInput": {
            "type": "structure",
            "required": ["FragmentTimecodeType", "Payload"],
            "members": {
                "StreamName": {
                    "shape": "StreamName",
                    "location": "header",
                    "locationName": "x-amzn-stream-name",
                },
                "FragmentTimecodeType": {
                    "shape": "FragmentTimecodeType",
                    "location": "header",
                    "locationName": "x-amzn-fragment-timecode-type",
                },
                "ProducerStartTimestamp": {
                    "shape": "Timestamp",
                    "location": "header",
                    "locationName": "x-amzn-producer-start-timestamp",
                    "timestampFormat": "unixTimestamp",
                },
                "Payload": {"shape": "Payload"},
            },
            "payload": "Payload",
        },
        "FragmentTimecodeType": {"type": "string", "enum": ["ABSOLUTE", "RELATIVE"]},
        "PutMediaOutput": {
            "type": "structure",
            "members": {
                "ContentType": {
                    "shape": "ContentType",
                    "location": "header",
                    "locationName": "Content-Type",
                },
                "Payload": {"shape": "Payload"},
            },
            "payload": "Payload",
        },
    },
}
HEADERS = {"x-amzn-stream-name": "door", "x-amzn-fragment-timecode-type": "ABSOLUTE"}
NOW = {"StreamName": "door", "StartSelector": {"StartSelectorType": "NOW"}}


@dataclass
class Streams:
    """What the handlers saw; each event is set once."""

    contexts: list[RequestContext] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    door: asyncio.Lock = field(default_factory=asyncio.Lock)  # while a test holds it none closes
    fragments: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)


media = Service[Streams](
    "kinesis-video-media", validation_error="InvalidArgumentException", extra=PUT_MEDIA
)


@media.operation("PutMedia")
async def put_media(
    streams: Streams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    streams.requests.append(request)
    streams.contexts.append(context)
    if request.get("StreamName") != "door":
        raise ResourceNotFound("Stream is not found.")

    async def acknowledgements() -> AsyncIterator[bytes]:
        received = 0
        try:
            async for chunk in request["Payload"]:
                received += len(chunk)
                yield json.dumps({"received": received}).encode() + b"\n"
            yield b'{"done":true}\n'
        except BodyCut:
            streams.cut.set()
            raise
        finally:
            streams.closed.set()

    return {"ContentType": "application/json", "Payload": acknowledgements()}


@media.operation("GetMedia")
async def get_media(
    streams: Streams, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            # A task group and a timeout within the generator: both need one and the same task.
            async with asyncio.TaskGroup(), asyncio.timeout(60):
                while (fragment := await streams.fragments.get()) != b"end":
                    if fragment == b"break":
                        raise RuntimeError("disk on fire")
                    yield fragment
        finally:
            streams.leaving.set()
            async with streams.door:
                streams.closed.set()

    return {"ContentType": "video/webm", "Payload": chunks()}


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
async def url(serve: Serve, streams: Streams) -> str:
    return await serve(media.bind(streams))


async def test_each_acknowledgement_arrives_while_the_upload_goes_on(
    url: str, streams: Streams, http: aiohttp.ClientSession
) -> None:
    acknowledged = asyncio.Queue[int]()

    async def upload() -> AsyncIterator[bytes]:
        for count in (1, 2, 3):
            yield b"x" * 1000
            assert await acknowledged.get() == count * 1000  # nothing is sent before the answer

    headers = HEADERS | {"x-amzn-producer-start-timestamp": "1700000000.5"}
    async with (
        asyncio.timeout(60),
        http.post(f"{url}/putMedia", data=upload(), headers=headers) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        lines = []
        async for line in answer.content:
            lines.append(json.loads(line))
            acknowledged.put_nowait(lines[-1].get("received"))
    assert lines == [{"received": 1000}, {"received": 2000}, {"received": 3000}, {"done": True}]
    request = streams.requests[0]
    assert request["ProducerStartTimestamp"] == 1700000000.5
    assert request["FragmentTimecodeType"] == "ABSOLUTE"


async def test_expect_100_continue_is_honoured_before_the_body(url: str) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    lines = [
        "POST /putMedia HTTP/1.1",
        "Host: without-a-port",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        *(f"{name}: {value}" for name, value in HEADERS.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")  # before a single byte of the body
        writer.write(b"4\r\nabcd\r\n")
        assert b'{"received": 4}' in await reader.readuntil(b"}\n")
        writer.write(b"0\r\n\r\n")
        assert b'{"done":true}' in await reader.readuntil(b"0\r\n\r\n")
    writer.close()


async def test_an_error_before_the_stream_is_an_http_error(url: str, fetch: Fetch) -> None:
    headers = HEADERS | {"x-amzn-stream-name": "garden"}
    answer = await fetch("POST", f"{url}/putMedia", data=b"x", headers=headers)
    assert answer.status == 404
    assert answer.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"x-amzn-fragment-timecode-type": "SOMETIMES"},
            "InvalidArgumentException",
            "Value 'SOMETIMES' at 'FragmentTimecodeType' failed to satisfy constraint: Member "
            "must satisfy enum value set: [ABSOLUTE, RELATIVE]",
        ),
        (
            {"x-amzn-producer-start-timestamp": "yesterday"},
            "SerializationException",
            "'ProducerStartTimestamp' must be seconds since the epoch",
        ),
        (
            {"x-amzn-producer-start-timestamp": "1700000000000"},
            "SerializationException",
            "in seconds (not milliseconds)",
        ),
        ({"x-amzn-stream-name": "a/b"}, "InvalidArgumentException", "at 'StreamName'"),
    ],
)
async def test_members_in_headers_are_validated_too(
    url: str, fetch: Fetch, changes: dict[str, str], code: str, words: str
) -> None:
    answer = await fetch("POST", f"{url}/putMedia", data=b"x", headers=HEADERS | changes)
    error = answer.json()
    assert (answer.status, error["__type"]) == (400, code)
    assert words in error["message"]


CREDENTIALS = Credentials("AKIDEXAMPLE", "secret")


def signed_in_header(url: str, **headers: str) -> tuple[str, dict[str, str]]:
    """Without further headers, botocore signs a body it has not as an empty one."""
    request = AWSRequest("POST", f"{url}/putMedia", headers=HEADERS | headers)
    SigV4Auth(CREDENTIALS, "kinesisvideo", "eu-central-1").add_auth(request)
    return request.url, dict(request.headers)


def signed_in_query(url: str) -> tuple[str, dict[str, str]]:
    request = AWSRequest("POST", f"{url}/putMedia", headers=HEADERS)
    SigV4QueryAuth(CREDENTIALS, "kinesisvideo", "eu-central-1").add_auth(request)
    return request.url, dict(request.headers)


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(signed_in_header, id="C SDK: hash of an empty body"),
        pytest.param(
            lambda url: signed_in_header(url, **{"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}),
            id="Java and Python: unsigned payload",
        ),
        pytest.param(signed_in_query, id="Go: presigned query"),
    ],
)
async def test_put_media_is_accepted_however_the_client_signs(
    url: str,
    streams: Streams,
    fetch: Fetch,
    sign: Callable[[str], tuple[str, dict[str, str]]],
) -> None:
    signed_url, headers = sign(url)
    answer = await fetch("POST", signed_url, data=b"mkv", headers=headers)
    assert (answer.status, answer.body) == (200, b'{"received": 3}\n{"done":true}\n')
    context = streams.contexts[0]
    assert context.region == "eu-central-1"


async def test_a_client_that_leaves_in_mid_body_cuts_the_input(url: str, streams: Streams) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = "POST /putMedia HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    writer.write(head.encode() + b"\r\n4\r\nabcd\r\n")
    async with asyncio.timeout(60):
        await reader.readuntil(b'{"received": 4}\n')
        writer.close()
        await streams.cut.wait()
        await streams.closed.wait()


async def test_broken_framing_cuts_the_input_when_the_client_gives_up(
    url: str, streams: Streams
) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = "POST /putMedia HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    writer.write(head.encode() + b"\r\n4\r\nabcd\r\n")
    async with asyncio.timeout(60):
        await reader.readuntil(b'{"received": 4}\n')
        writer.write(b"zz\r\nnot a chunk\r\n" * 10_000)
        writer.close()
        await streams.cut.wait()
        await streams.closed.wait()


async def test_a_silent_stream_is_closed_soon_after_its_client_left(
    url: str, streams: Streams, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await http.post(f"{url}/getMedia", json=NOW)  # headers come though nothing flows
    assert answer.headers["Content-Type"] == "video/webm"
    assert not streams.closed.is_set()
    answer.close()
    async with asyncio.timeout(60):
        await streams.closed.wait()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_stream_whose_client_left_closes_in_its_own_time_and_disturbs_no_other(
    url: str, streams: Streams, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.gateway.streams.POLL_S", 0.001)
    first = await http.post(f"{url}/getMedia", json=NOW)
    second = await http.post(f"{url}/getMedia", json=NOW)
    async with asyncio.timeout(60):
        async with streams.door:
            first.close()
            await streams.leaving.wait()
            for _ in range(20):  # looks at who is gone
                await asyncio.sleep(0.001)
            assert not streams.closed.is_set()
        await streams.closed.wait()
        # The one that stays is the only one that takes fragments now.
        streams.fragments.put_nowait(b"more")
        assert await second.content.readany() == b"more"
    second.close()


async def test_a_client_that_stops_reading_holds_the_stream_back(
    url: str, streams: Streams
) -> None:
    where = urlsplit(url)
    raw = socket.create_connection((where.hostname or "", where.port or 0))
    body = json.dumps(NOW).encode()
    raw.sendall(
        b"POST /getMedia HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    for _ in range(300):
        streams.fragments.put_nowait(b"x" * 1_000_000)
    remaining = -1
    async with asyncio.timeout(60):
        while streams.fragments.qsize() != remaining:  # until nothing moves any more
            remaining = streams.fragments.qsize()
            await asyncio.sleep(0.2)
    assert remaining > 200
    raw.close()
    async with asyncio.timeout(60):
        await streams.closed.wait()


async def test_a_stream_that_breaks_is_logged_and_not_called_whole(
    url: str, streams: Streams, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    streams.fragments.put_nowait(b"first")
    async with http.post(f"{url}/getMedia", json=NOW) as answer:
        assert await answer.content.readany() == b"first"
        streams.fragments.put_nowait(b"break")
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()
    assert "/getMedia: the stream broke while it was sent" in caplog.text
    assert "disk on fire" in caplog.text


async def test_a_stream_that_ends_leaves_the_connection_open_for_the_next(
    url: str, streams: Streams
) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        for _ in range(2):
            streams.fragments.put_nowait(b"all")
            streams.fragments.put_nowait(b"end")
            async with http.post(f"{url}/getMedia", json=NOW) as answer:
                assert await answer.read() == b"all"
                assert answer.connection is None  # returned to the pool, where one place is


def app_runner(streams: Streams, **options: Any) -> web.AppRunner:
    app = build_app(
        [media.bind(streams)], account_id="0" * 12, region="us-east-1", request_bytes_max=1000
    )
    return web.AppRunner(app, **options)


async def test_a_server_that_stops_closes_open_streams_at_once(
    streams: Streams, http: aiohttp.ClientSession
) -> None:
    runner = app_runner(streams, shutdown_timeout=600)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with http.post(f"{url}/getMedia", json=NOW) as answer:
        async with asyncio.timeout(60):  # far below the time that requests have to end
            await runner.cleanup()
        assert streams.closed.is_set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()


async def test_cancellation_passes_through_and_is_no_failure(
    streams: Streams, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    runner = app_runner(streams, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answer = await http.post(f"http://127.0.0.1:{runner.addresses[0][1]}/getMedia", json=NOW)
    answer.close()
    async with asyncio.timeout(60):
        await streams.closed.wait()
        await runner.cleanup()
    assert "failed" not in caplog.text


async def test_an_answer_is_closed_even_if_the_server_stopped_before_its_first_chunk() -> None:
    class Answer:
        closed = False

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("nobody should ask")

        async def aclose(self) -> None:
            self.closed = True

    sender, answer = StreamSender(), Answer()
    await sender.stop()
    await sender.send(make_mocked_request("POST", "/getMedia"), web.StreamResponse(), answer)
    assert answer.closed
