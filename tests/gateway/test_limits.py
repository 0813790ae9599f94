"""What one client, or a crowd of them, cannot take: sizes, times, connections."""

import asyncio
import contextlib
import gzip
import json
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from streamproc.gateway.app import build_app
from streamproc.gateway.connection import HEADERS_MAX, Connection
from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.door import Admission, RequestHead
from streamproc.gateway.errors import AccessDenied, BodyCut
from streamproc.gateway.server import Server, client_of
from streamproc.model.caller import Caller, Right
from streamproc.settings import ServerConfig

TARGET = "X-Amz-Target: RekognitionService.DescribeCollection"
BODY = b'{"CollectionId": "people"}'
HEADER_BYTES_MAX = 2048
BODY_BYTES_MAX = 100_000


@dataclass
class Key:
    """A caller whose key a test revokes."""

    arn: str = "arn:aws:iam::000000000000:user/key"
    is_valid: bool = True

    def refusal(self, right: Right) -> str:
        return ""


@dataclass
class House:
    """What the handlers saw, and who may come in."""

    key: Key = field(default_factory=Key)
    is_open: bool = True
    received: int = 0
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self, head: RequestHead, signing_name: str, *, streams: bool) -> Admission:
        if not self.is_open:
            raise AccessDenied("The door is closed.")
        return self

    def with_body(self, body: bytes | None) -> Caller:
        return self.key


rekognition = Service[House]("rekognition", validation_error="InvalidParameterException")
media = Service[House](
    "kinesis-video-media",
    validation_error="InvalidArgumentException",
    extra={
        "operations": {
            "PutMedia": {
                "name": "PutMedia",
                "http": {"method": "POST", "requestUri": "/putMedia"},
                "input": {"shape": "PutMediaInput"},
                "output": {"shape": "PutMediaOutput"},
                "errors": [],
            }
        },
        "shapes": {
            "PutMediaInput": {
                "type": "structure",
                "members": {"Payload": {"shape": "Payload"}},
                "payload": "Payload",
            },
            "PutMediaOutput": {
                "type": "structure",
                "members": {"Payload": {"shape": "Payload"}},
                "payload": "Payload",
            },
        },
    },
)


@rekognition.operation("DescribeCollection")
async def describe_collection(
    house: House, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    return {"FaceCount": 1}


@media.operation("PutMedia")
async def put_media(
    house: House, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    async def acknowledgements() -> AsyncIterator[bytes]:
        try:
            async for chunk in request["Payload"]:
                house.received += len(chunk)
                yield b"got %d\n" % house.received
        except BodyCut:
            house.cut.set()
            raise
        finally:
            house.closed.set()

    return {"Payload": acknowledgements()}


@media.operation("GetMedia")
async def get_media(
    house: House, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                if request["StreamName"] == "silent":
                    await asyncio.Event().wait()
        finally:
            house.closed.set()

    return {"ContentType": "video/webm", "Payload": chunks()}


Address: TypeAlias = tuple[str, int]
Start: TypeAlias = Callable[..., Awaitable[Address]]


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture
async def start(house: House) -> AsyncIterator[Start]:
    """Serve with these settings of [server]; gives the address."""
    async with contextlib.AsyncExitStack() as stack:

        async def serve(  # type: ignore[no-untyped-def]
            *,
            address: str = "127.0.0.1",
            tls: Any = None,
            **settings: Any,
        ):
            config = ServerConfig(
                **{
                    "header_bytes_max": HEADER_BYTES_MAX,
                    "request_bytes_max": BODY_BYTES_MAX,
                    **settings,
                }
            )
            app = build_app(
                [rekognition.bind(house), media.bind(house)],
                account_id="0" * 12,
                region="us-east-1",
                request_bytes_max=config.request_bytes_max,
                body_timeout_s=config.body_timeout_s,
                door=house,
            )
            listener = stack.enter_context(socket.create_server((address, 0)))
            listener.setblocking(False)
            server = Server(app, config)
            stack.push_async_callback(server.aclose)
            await server.start()
            server.listen(listener, tls=tls)
            return listener.getsockname()

        yield serve


class Wire:
    """A client that sends what it likes, and reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        size = int(headers.get("content-length", 0))
        return int(head[0].split()[1]), headers, await self.reader.readexactly(size)

    async def refusal(self) -> tuple[int, str]:
        """Status and code of an error in the shape of every other one."""
        status, headers, body = await self.answer()
        error = json.loads(body)
        assert error["message"] == error["Message"]
        assert headers["x-amzn-errortype"] == error["__type"].lower()
        assert headers["x-amzn-requestid"]
        return status, error["__type"]

    async def is_closed(self) -> bool:
        """Waits for it; what is sent until then is thrown away."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        return True


Connect: TypeAlias = Callable[..., Awaitable[Wire]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    wires: list[Wire] = []

    async def dial(address: Address, local: Address | None = None) -> Wire:
        wires.append(Wire(*await asyncio.open_connection(*address, local_addr=local)))
        return wires[-1]

    async with asyncio.timeout(90):
        yield dial
    for wire in wires:
        wire.writer.close()
        with contextlib.suppress(ConnectionError):
            await wire.writer.wait_closed()


def request(*lines: str, body: bytes = BODY, length: bool = True) -> bytes:
    """A DescribeCollection with these headers."""
    head = ["POST / HTTP/1.1", "Host: x", TARGET, "Content-Type: application/x-amz-json-1.1"]
    head += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


async def is_served(wire: Wire) -> bool:
    wire.send(request())
    status, _, body = await wire.answer()
    return status == 200 and json.loads(body) == {"FaceCount": 1}


# --- heads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"a" * HEADER_BYTES_MAX + b" HTTP/1.1\r\n", id="path"),
        pytest.param(b"GET /?" + b"a" * HEADER_BYTES_MAX + b" HTTP/1.1\r\n", id="query"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * HEADER_BYTES_MAX, id="value"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a" * (HEADER_BYTES_MAX + 1), id="name"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HEADERS_MAX + 2), id="number"),
    ],
)
async def test_a_head_too_large_is_refused_before_it_ends(
    start: Start, connect: Connect, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await connect(await start())
    wire.send(head)
    assert await wire.refusal() == (431, "RequestHeaderSectionTooLargeException")
    assert await wire.is_closed()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_headers_together_have_a_limit_too(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    wire.send(b"GET / HTTP/1.1\r\n")
    line = b"A: " + b"b" * 1000 + b"\r\n"
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            wire.send(line)
            await wire.writer.drain()
            await asyncio.sleep(0)  # a head in one piece is bounded by what one read takes
    assert await wire.refusal() == (431, "RequestHeaderSectionTooLargeException")
    assert await wire.is_closed()


async def test_a_head_within_the_limits_is_served(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    wire.send(request(f"X-Long: {'a' * (HEADER_BYTES_MAX - 100)}", *["A: b"] * 100))
    assert (await wire.answer())[0] == 200


async def test_a_slow_head_ends_however_steadily_it_drips(start: Start, connect: Connect) -> None:
    wire = await connect(await start(body_timeout_s=1.0))
    dripping = asyncio.create_task(drip(wire, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000))
    assert await wire.refusal() == (408, "RequestTimeoutException")
    assert await wire.is_closed()
    dripping.cancel()


async def test_a_slow_head_behind_a_served_request_ends_too(start: Start, connect: Connect) -> None:
    wire = await connect(await start(body_timeout_s=1.0))
    assert await is_served(wire)
    dripping = asyncio.create_task(drip(wire, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000))
    assert await wire.refusal() == (408, "RequestTimeoutException")
    assert await wire.is_closed()
    dripping.cancel()


async def drip(wire: Wire, data: bytes) -> None:
    for byte in data:
        wire.send(bytes([byte]))
        await asyncio.sleep(0.05)


async def test_one_connection_that_cannot_be_watched_blinds_nobody(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind: list[Connection] = []
    check = Connection.check

    def failing(self: Connection, now: float) -> None:
        blind[:] = blind or [self]
        if self is blind[0]:
            raise RuntimeError("of this one")
        check(self, now)

    monkeypatch.setattr(Connection, "check", failing)
    address = await start(body_timeout_s=1.0)
    first = await connect(address)
    assert await first.is_closed()
    second = await connect(address)
    second.send(b"GET / HTTP/1.1\r\n")
    assert await second.refusal() == (408, "RequestTimeoutException")


# --- bodies ----------------------------------------------------------------------------------


async def test_a_slow_body_ends_however_steadily_it_drips(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.gateway.connection._LINGERING_S", 0.5)
    wire = await connect(await start(body_timeout_s=1.0))
    wire.send(request("Content-Length: 5000", body=b"", length=False))
    dripping = asyncio.create_task(drip(wire, b" " * 5000))
    assert await wire.refusal() == (408, "RequestTimeoutException")
    assert await wire.is_closed()
    dripping.cancel()


async def test_a_body_that_is_too_large_is_not_asked_for(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    wire.send(
        request(f"Content-Length: {BODY_BYTES_MAX + 1}", "Expect: 100-continue", body=b"",
                length=False)
    )  # fmt: skip
    assert await wire.refusal() == (413, "RequestEntityTooLargeException")


async def test_a_body_is_asked_for_once_its_sender_is_admitted(
    start: Start, connect: Connect, house: House
) -> None:
    address = await start()
    wire = await connect(address)
    expecting = request(f"Content-Length: {len(BODY)}", "Expect: 100-continue", body=b"",
                        length=False)  # fmt: skip
    wire.send(expecting)
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(BODY)
    assert (await wire.answer())[0] == 200
    house.is_open = False
    stranger = await connect(address)
    stranger.send(expecting)
    assert await stranger.refusal() == (400, "AccessDeniedException")


async def test_what_others_add_to_the_application_comes_first(house: House) -> None:
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    async def console(_: web.Request) -> web.Response:
        return web.Response(text="console")

    app = build_app(
        [rekognition.bind(house)], account_id="0" * 12, region="us-east-1", request_bytes_max=1000
    )
    app.router.add_get("/", console)
    async with TestClient(TestServer(app)) as client:
        assert await (await client.get("/")).text() == "console"
        assert (await client.post("/", data=b"{}")).status == 404  # the gateway's own words
        assert (await (await client.get("/a%0Ab")).json())["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", bytes), ("GZIP", bytes)],
)
async def test_a_compressed_body_is_refused_and_never_inflated(
    start: Start, connect: Connect, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    wire = await connect(await start())
    wire.send(request(f"Content-Encoding: {encoding}", body=compress(b" " * 50_000_000)[:90_000]))
    assert await wire.refusal() == (400, "MalformedHttpRequestException")


async def test_a_body_that_is_encoded_as_itself_is_served(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    wire.send(request("Content-Encoding: identity"))
    assert (await wire.answer())[0] == 200


# --- what is no HTTP, or two kinds of it at once ---------------------------------------------

CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = {
    "length and chunks": request(CHUNKED, body=b"0\r\n\r\n"),
    "two lengths": request("Content-Length: 5"),
    "two equal lengths": request(f"Content-Length: {len(BODY)}"),
    "a list of lengths": request("Content-Length: 5, 5", length=False),
    "a signed length": request("Content-Length: +5", length=False),
    "a negative length": request("Content-Length: -1", length=False),
    "a length in hex": request("Content-Length: 0x5", length=False),
    "an endless length": request(f"Content-Length: {'9' * 30}", length=False),
    "chunks in another spelling": request("Transfer-Encoding: xchunked", length=False),
    "chunks and more": request("Transfer-Encoding: chunked, identity", length=False),
    "two transfer encodings": request(CHUNKED, "Transfer-Encoding: identity", length=False),
    "a folded header": request("X-Folded: a\r\n b"),
    "a folded length": request("Content-Length:\r\n 5", length=False),
    "a space before the colon": request("Transfer-Encoding : chunked"),
    "a header without a name": request(": value"),
    "a header without a colon": request("value"),
    "bare line feeds": request().replace(b"\r\n", b"\n"),
    "one bare line feed": request("X-A: b\nTransfer-Encoding: chunked"),
    "a bare carriage return": request("X-A: b\rTransfer-Encoding: chunked"),
    "a null in a value": request("X-A: a\0b"),
    "two hosts": request("Host: y"),
    "no host": request().replace(b"Host: x\r\n", b""),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": request().replace(b"HTTP/1.1", b"HTTP/1.10"),
    "TLS": bytes.fromhex("16030100c8010000c403"),
    "a size of a chunk that is none": request(CHUNKED, body=b"zz\r\n", length=False),
    "a size of a chunk too large": request(CHUNKED, body=b"f" * 17 + b"\r\n", length=False),
    "a chunk longer than its size": request(CHUNKED, body=b"1\r\nab\r\n0\r\n\r\n", length=False),
    "a chunk ended by a line feed": request(CHUNKED, body=b"1\r\na\n0\r\n\r\n", length=False),
}  # fmt: skip


@pytest.mark.parametrize("name", SMUGGLED)
async def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    start: Start, connect: Connect, name: str
) -> None:
    wire = await connect(await start())
    wire.send(SMUGGLED[name] + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    status, code = await wire.refusal()
    assert status == 400
    assert code in ("MalformedHttpRequestException", "SerializationException")
    assert await wire.is_closed()


async def test_chunks_that_break_later_are_told_at_once(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    wire.send(request(CHUNKED, "Expect: 100-continue", body=b"", length=False))
    await wire.reader.readuntil(b"\r\n\r\n")  # from now on the body is waited for
    wire.send(b"1\r\n{\r\n")
    wire.send(b"zz\r\n")
    assert await wire.refusal() == (400, "SerializationException")
    assert await wire.is_closed()


async def test_a_stream_whose_chunks_break_is_cut_at_once(
    start: Start, connect: Connect, house: House
) -> None:
    wire = await connect(await start())
    wire.send(
        b"POST /putMedia HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"
    )
    await wire.reader.readuntil(b"got 4\n")
    wire.send(b"zz\r\n")
    await house.cut.wait()
    assert await wire.is_closed()


async def test_requests_in_one_piece_are_answered_in_order(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    wire.send(request() * 40)
    for _ in range(40):
        assert (await wire.answer())[0] == 200


# --- connections -----------------------------------------------------------------------------


async def test_one_connection_too_many_is_refused_and_a_closed_one_makes_room(
    start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    address = await start(connections_max=16)
    wires = [await connect(address) for _ in range(16)]
    assert all([await is_served(wire) for wire in wires])
    for _ in range(3):
        status, _, body = await (await connect(address)).answer()
        assert (status, json.loads(body)["__type"]) == (503, "ServiceUnavailableException")
        assert "server.connections_max" in json.loads(body)["message"]
    assert caplog.text.count("was refused") == 1  # a crowd does not fill the log
    assert await is_served(wires[0])
    wires[1].writer.close()
    await wires[1].writer.wait_closed()
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                if await is_served(await connect(address)):
                    return


async def test_one_client_has_its_own_limit_but_loopback(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await start(connections_per_client_max=1)
    assert await is_served(await connect(address))
    assert await is_served(await connect(address))
    # As if 127.0.0.0/8 were the internet.
    monkeypatch.setattr("streamproc.gateway.server.is_exempt", lambda _: False)
    status, _, body = await (await connect(address)).answer()
    assert status == 503
    assert "server.connections_per_client_max" in json.loads(body)["message"]
    assert await is_served(await connect(address, ("127.0.0.2", 0)))


async def test_a_certificate_that_breaks_costs_one_connection_and_no_more(
    start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def tls() -> ssl.SSLContext:
        raise RuntimeError("half a certificate")

    address = await start(connections_max=16, tls=tls)
    for _ in range(20):  # more than there may be, had one been counted for ever
        assert await (await connect(address)).is_closed()
    assert "half a certificate" in caplog.text
    assert "16 connections are open" not in caplog.text


async def test_handshakes_that_fail_are_not_counted_for_ever(
    start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    address = await start(connections_max=16, tls=lambda: context)
    for _ in range(20):
        wire = await connect(address)
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        assert await wire.is_closed()
    assert "16 connections are open" not in caplog.text


async def test_a_crowd_at_the_door_leaves_time_for_who_is_in(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []  # of the loop, at each connection
    passed = 0

    def refusal(self: Server, client: str) -> str:
        steps.append(passed)
        return "Nobody comes in."

    monkeypatch.setattr(Server, "_refusal", refusal)
    address = await start()
    with contextlib.ExitStack() as crowd:
        for _ in range(50):  # all of them wait before the first is accepted
            crowd.enter_context(socket.create_connection(address))
        async with asyncio.timeout(60):
            while len(steps) < 50:
                passed += 1
                await asyncio.sleep(0)
    assert len(set(steps)) == 50


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
    ],
)
def test_whoever_has_one_address_of_a_network_has_them_all(address: str, client: str) -> None:
    assert client_of(address) == client


async def test_a_client_that_takes_no_answer_is_cut_off(start: Start, house: House) -> None:
    address = await start(body_timeout_s=1.0)
    with socket.create_connection(address) as raw:
        body = b'{"StreamName": "door", "StartSelector": {"StartSelectorType": "NOW"}}'
        raw.sendall(
            b"POST /getMedia HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        async with asyncio.timeout(60):
            await house.closed.wait()


# --- keys that are revoked -------------------------------------------------------------------


async def test_a_stream_that_is_sent_ends_when_its_key_is_revoked(
    start: Start, connect: Connect, house: House
) -> None:
    wire = await connect(await start())
    body = b'{"StreamName": "silent", "StartSelector": {"StartSelectorType": "NOW"}}'
    wire.send(
        b"POST /getMedia HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    await wire.reader.readuntil(b"\r\n\r\n")
    assert not house.closed.is_set()
    house.key.is_valid = False
    await house.closed.wait()
    assert await wire.is_closed()


async def test_a_stream_that_is_received_ends_when_its_key_is_revoked(
    start: Start, connect: Connect, house: House
) -> None:
    wire = await connect(await start())
    wire.send(
        b"POST /putMedia HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"
    )
    await wire.reader.readuntil(b"got 4\n")
    house.key.is_valid = False
    await house.closed.wait()
    assert await wire.is_closed()
