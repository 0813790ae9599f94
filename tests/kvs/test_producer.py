"""The PutMedia client against a server on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from streamproc.errors import MediaError
from streamproc.kvs.acks import Ack, PutMediaError
from streamproc.kvs.producer import put_media
from tests.kvs.servers import Handler, serving

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "session token")


async def send(
    url: str,
    body: AsyncIterator[bytes],
    on_ack: Callable[[Ack], None] | None = None,
    stream: str = "lobby",
) -> None:
    await put_media(
        url,
        stream,
        body,
        region="eu-west-1",
        credentials=CREDENTIALS,
        start_timestamp=1_700_000_000.005,
        on_ack=on_ack,
    )


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def ack(kind: str, number: int = 1, **more: object) -> bytes:
    fields = {"EventType": kind, "FragmentTimecode": 5, "FragmentNumber": str(number), **more}
    return json.dumps(fields).encode() + b"\n"


def scripted(*answers: bytes, read: bool = True) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if read:
            await request.content.read()
        for answer in answers:
            await response.write(answer)
        return response

    return handle


async def test_the_body_arrives_under_the_headers_of_the_api() -> None:
    seen: list[tuple[web.Request, bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request, await request.content.read()))
        return web.Response(body=ack("RECEIVED"))

    async with serving({"/putMedia": handle}) as url:
        await send(url, pieces(b"one", b"two" * 50_000))
        await send(url, pieces(b"three"), stream="arn:aws:kinesisvideo:eu-west-1:1:stream/lobby/1")
    request, body = seen[0]
    assert body == b"one" + b"two" * 50_000
    assert request.headers["x-amzn-stream-name"] == "lobby"
    assert request.headers["x-amzn-fragment-timecode-type"] == "ABSOLUTE"
    assert request.headers["x-amzn-producer-start-timestamp"] == "1700000000.005"
    assert request.headers["Transfer-Encoding"] == "chunked"
    assert seen[1][0].headers["x-amzn-stream-arn"].endswith(":stream/lobby/1")


async def test_the_signature_stands_up_to_verification() -> None:
    verdicts: list[bool] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        authorization = request.headers["Authorization"]
        signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
        assert {"host", "x-amzn-stream-name", "x-amz-security-token"} <= set(signed)
        headers = {name: request.headers[name] for name in signed}
        copy = AWSRequest("POST", str(request.url), headers=headers)
        copy.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = SigV4Auth(CREDENTIALS, "kinesisvideo", "eu-west-1")
        text = signer.string_to_sign(copy, signer.canonical_request(copy))
        verdicts.append(authorization.endswith("Signature=" + signer.signature(text, copy)))
        await request.content.read()
        return web.Response(body=b"")

    async with serving({"/putMedia": handle}) as url:
        await send(url, pieces(b"x"))
    assert verdicts == [True]


async def test_acknowledgements_are_told_while_the_body_is_sent() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for data in request.content.iter_any():
            await response.write(ack("BUFFERING", int(data)))
        for number in (1, 2, 3):
            await response.write(ack("PERSISTED", number))
        return response

    acks: asyncio.Queue[Ack] = asyncio.Queue()
    told: list[Ack] = []

    def on_ack(ack: Ack) -> None:
        told.append(ack)
        acks.put_nowait(ack)

    async def body() -> AsyncIterator[bytes]:
        for number in (1, 2, 3):
            yield str(number).encode()
            await acks.get()  # the next piece only after the answer to this one

    async with serving({"/putMedia": handle}) as url:
        await asyncio.wait_for(send(url, body(), on_ack), 60)
    assert [(a.event_type, a.fragment_number) for a in told] == [
        *(("BUFFERING", str(number)) for number in (1, 2, 3)),
        *(("PERSISTED", str(number)) for number in (1, 2, 3)),
    ]


async def test_an_error_acknowledgement_has_its_documented_name() -> None:
    error = ack("ERROR", ErrorId=4006, ErrorCode="INVALID_MKV_DATA")
    async with serving({"/putMedia": scripted(ack("BUFFERING"), error)}) as url:
        with pytest.raises(PutMediaError, match=r"at timecode 5: INVALID_MKV_DATA \(4006\)") as e:
            await send(url, pieces(b"x"))
    assert e.value.code == "INVALID_MKV_DATA"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-amzn-ErrorType": "ResourceNotFoundException:http://x"}, {"Message": "no lobby"}, ""),
        ({}, {"__type": "com.amazon#ResourceNotFoundException", "message": "no lobby"}, ""),
        ({}, "no lobby", "HTTP 404"),
    ],
)
async def test_a_refused_request_says_why(headers: dict[str, str], body: object, code: str) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=404, headers=headers, text=text)

    async with serving({"/putMedia": handle}) as url:
        with pytest.raises(PutMediaError, match="no lobby") as caught:
            await send(url, pieces(b"x"))
    assert caught.value.code == (code or "ResourceNotFoundException")


async def test_what_the_body_raises_passes_through() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        raise MediaError("the file is damaged")

    async with serving({"/putMedia": scripted()}) as url:
        with pytest.raises(MediaError, match="the file is damaged"):
            await asyncio.wait_for(send(url, body()), 60)


async def test_a_fragment_that_nobody_confirmed_is_an_error() -> None:
    answers = ack("BUFFERING", 1), ack("RECEIVED", 1), ack("BUFFERING", 2)
    async with serving({"/putMedia": scripted(*answers)}) as url:
        with pytest.raises(PutMediaError, match="before fragment 2 was acknowledged"):
            await send(url, pieces(b"x"))


async def test_a_session_that_ends_early_is_an_error() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.001)

    async with serving({"/putMedia": scripted(ack("RECEIVED"), read=False)}) as url:
        with pytest.raises(PutMediaError) as caught:
            await asyncio.wait_for(send(url, endless()), 60)
    assert caught.value.code in {"SessionEnded", "ConnectionError"}


async def test_a_server_that_is_not_there_is_named() -> None:
    async with serving({}) as url:
        pass
    with pytest.raises(PutMediaError, match=f"the connection to {url} broke"):
        await send(url, pieces(b"x"))


async def test_cancelling_closes_the_connection_and_the_body() -> None:
    closed = asyncio.Event()
    sending = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                sending.set()
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async with serving({"/putMedia": scripted()}) as url:
        task = asyncio.create_task(send(url, body()))
        await asyncio.wait_for(sending.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 60)
