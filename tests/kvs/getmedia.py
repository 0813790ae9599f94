"""A GetMedia service on a real socket that ends its sessions the way a test asks for."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from aiobotocore.session import get_session
from aiohttp import web

from streamproc.aws import AwsClients
from streamproc.mkv.writer import MkvWriter, aws_tags
from streamproc.model.media import Track, TrackKind
from streamproc.model.processor import ProcessorSpec
from streamproc.settings import AwsConfig, EndpointsConfig
from tests.decode.clips import number_of
from tests.kvs.servers import Handler, serving

STREAM_ARN = "arn:aws:kinesisvideo:eu-west-1:000000000000:stream/lobby/1551924009774"
START_S = 1_700_000_000
TRACK = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"\x01avcC", 160, 120)
PREFIX = "AWS_KINESISVIDEO_"

End = Literal["close", "abort", "hang", "trickle"]


@dataclass(frozen=True)
class Document:
    """One fragment as the service sends it."""

    number: str
    server_s: int
    data: bytes


def document(sequence: int, packets: int = 3) -> Document:
    """A fragment of 2 s whose payloads tell where they belong."""
    number, server_s = number_of(sequence), START_S + 2 * sequence
    writer = MkvWriter()
    stamps = [("SERVER_TIMESTAMP", f"{server_s}.000"), ("PRODUCER_TIMESTAMP", f"{server_s}.000")]
    opening = [("FRAGMENT_NUMBER", number), *stamps]
    closing = [("MILLIS_BEHIND_NOW", "0"), ("CONTINUATION_TOKEN", number)]
    blocks = (
        writer.block(1, 500 * index, index == 0, f"{sequence}.{index}".encode())
        for index in range(packets)
    )
    data = (
        writer.header([TRACK])
        + aws_tags([(PREFIX + name, value) for name, value in opening])
        + writer.cluster(server_s * 1000)
        + b"".join(blocks)
        + aws_tags([(PREFIX + name, value) for name, value in closing])
    )
    return Document(number, server_s, data)


def error_document(error_id: int, error_code: str, number: str = "") -> bytes:
    header = MkvWriter().header([TRACK])
    to_segment = header[: header.index(b"\x18\x53\x80\x67") + 12]
    tags = [("ERROR_ID", str(error_id)), ("ERROR_CODE", error_code)]
    if number:
        tags.append(("FRAGMENT_NUMBER", number))
    return to_segment + aws_tags([(PREFIX + name, value) for name, value in tags])


@dataclass(frozen=True)
class Session:
    """How one GetMedia goes. Without more it sends all there is and ends."""

    stop_at: int | None = None  # bytes
    end: End = "close"
    damage_at: int | None = None  # this byte of the body becomes 0
    body: bytes | None = None  # instead of documents


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    message: str = "no"


@dataclass
class KinesisVideo:
    """Answers by its script, one entry per call; when that is used up, as the service would:
    all documents behind the position, then silence."""

    documents: list[Document]
    script: list[Session | Refusal] = field(default_factory=list)
    endpoint_script: list[Refusal | dict[str, Any]] = field(default_factory=list)
    sts: Refusal | None = None
    selectors: list[dict[str, Any]] = field(default_factory=list)
    endpoint_calls: int = 0
    open_sessions: int = 0
    all_closed: asyncio.Event = field(default_factory=asyncio.Event)
    now_from: int = 0  # index of the document that NOW begins with
    url: str = ""

    async def get_data_endpoint(self, request: web.Request) -> web.StreamResponse:
        self.endpoint_calls += 1
        asked = await request.json()
        assert asked == {"StreamARN": STREAM_ARN, "APIName": "GET_MEDIA"}
        if self.endpoint_script:
            answer = self.endpoint_script.pop(0)
            return web.json_response(answer) if isinstance(answer, dict) else _refused(answer)
        return web.json_response({"DataEndpoint": self.url})

    async def get_media(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        assert asked["StreamARN"] == STREAM_ARN
        selector = asked["StartSelector"]
        self.selectors.append(selector)
        session = self.script.pop(0) if self.script else Session(end="hang")
        if isinstance(session, Refusal):
            return _refused(session)
        body = session.body
        if body is None:
            body = b"".join(each.data for each in self.documents[self._first(selector) :])
        if session.damage_at is not None:
            body = body[: session.damage_at] + b"\x00" + body[session.damage_at + 1 :]
        return await self._send(request, body[: session.stop_at], session.end)

    async def assume_role(self, request: web.Request) -> web.StreamResponse:
        assert self.sts is not None
        text = (
            "<ErrorResponse><Error><Type>Sender</Type>"
            f"<Code>{self.sts.code}</Code><Message>no</Message></Error></ErrorResponse>"
        )
        return web.Response(status=self.sts.status, text=text, content_type="text/xml")

    def _first(self, selector: dict[str, Any]) -> int:
        match selector["StartSelectorType"]:
            case "NOW":
                return self.now_from
            case "EARLIEST":
                return 0
            case "FRAGMENT_NUMBER":
                after = int(selector["AfterFragmentNumber"])
                behind = [i for i, each in enumerate(self.documents) if int(each.number) > after]
            case _:
                at = selector["StartTimestamp"]
                behind = [i for i, each in enumerate(self.documents) if each.server_s + 2 > at]
        return behind[0] if behind else len(self.documents)

    async def _send(self, request: web.Request, body: bytes, end: End) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        await response.prepare(request)
        self.open_sessions += 1
        self.all_closed.clear()
        try:
            await response.write(body)
            if end == "abort" and request.transport is not None:
                request.transport.abort()
            while end in {"hang", "trickle"}:
                await asyncio.sleep(0.01)
                if end == "trickle":
                    with contextlib.suppress(ConnectionError):
                        await response.write(b"\x00")
                if request.transport is None or request.transport.is_closing():
                    break
        finally:
            self.open_sessions -= 1
            if not self.open_sessions:
                self.all_closed.set()
        return response


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(
        status=refusal.status,
        headers={"x-amzn-ErrorType": refusal.code} if refusal.code else {},
        text=json.dumps({"Message": refusal.message}),
    )


@asynccontextmanager
async def online(service: KinesisVideo) -> AsyncIterator[KinesisVideo]:
    routes: dict[str, Handler] = {
        "/getDataEndpoint": service.get_data_endpoint,
        "/getMedia": service.get_media,
        "/": service.assume_role,
    }
    async with serving(routes) as service.url:
        yield service


def clients(url: str, *, read_timeout_s: float = 5) -> AwsClients:
    """Everything at one URL, as with the embedded services."""
    return quick(AwsClients(EndpointsConfig(), AwsConfig(read_timeout_s=read_timeout_s), url))


def quick(access: AwsClients) -> AwsClients:
    """With a session that has read botocore's models already: that takes 0.1 s each time."""
    access._session = _session()
    return access


_session = cache(get_session)


SPEC = ProcessorSpec(
    region="eu-west-1",
    name="watch",
    video_stream_arn=STREAM_ARN,
    data_stream_arn="arn:aws:kinesis:eu-west-1:000000000000:stream/faces",
    collection_id="people",
    face_match_threshold=80,
    role_arn="arn:aws:iam::000000000000:role/streamproc",
)
