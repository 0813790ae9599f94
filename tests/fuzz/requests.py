"""Requests that are nearly right, for every operation that is served, and requests that are not.

Out of botocore's models: the members of an operation with values at the edges of what its shapes
allow, names of things that exist, and anything at all.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

from botocore.model import OperationModel, Shape

from streamproc.gateway.dispatch import BoundService, Service
from tests.fuzz.images import an_input as picture
from tests.fuzz.parser import an_input

ARN = "arn:aws:{}:us-east-1:000000000000:{}"
NAMES = ["cam", "people", "nobody", "fuzz", "../../etc/passwd", "a" * 255, "é", "", "x\0y", "a b"]
ODD_TEXTS = [
    *NAMES, "*", "%s%n", "'; DROP TABLE faces; --", "\ud83d\ude00", "\u202e", "\r\nX-Evil: 1",
    "0", "-1", "1e400", "null", "/" * 300, "arn:aws:x", "A" * 70_000, "49" * 28, "{}", "\x7f",
]  # fmt: skip
NUMBERS: list[Any] = [
    0, 1, -1, 2, 100, 101, 999, 1000, 10_000, 2**31 - 1, 2**31, -(2**31) - 1, 2**63 - 1, 2**63,
    -(2**63), 10**30, 0.5, 1e-320, 1e308, -1e308, 253_402_300_799, 253_402_300_800, 1_700_000_000.1,
]  # fmt: skip
BLOBS = [b"", b"x", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", bytes(2000)]
ODD_JSON: list[Any] = [
    None, True, False, 0, -1, 1.5, "", "x", [], {}, [[]], [None], {"": {}}, {"a": {"b": [1]}},
    10**25,
]  # fmt: skip


@dataclass
class Request:
    """One HTTP/1.1 request, as a client would send it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    streams: bool = False  # the answer may go on for ever
    told: str = field(default="", compare=False)  # which operation this is, for the report


@dataclass
class Known:
    """Things that exist, by the member that names them: filled in by whoever made them."""

    values: Mapping[str, Sequence[Any]]

    def of(self, member: str, chance: Random) -> Any:
        values = self.values.get(member)
        return chance.choice(values) if values else None


class RequestMaker:
    """Makes requests for the operations that these services serve."""

    def __init__(
        self, services: Sequence[Service[Any] | BoundService], known: Known, chance: Random
    ) -> None:
        self._known = known
        self._chance = chance
        self._served: list[tuple[Any, OperationModel]] = []
        for service in services:
            names = service.operations if isinstance(service, Service) else service.handlers
            self._served += [(service, service.model.operation_model(name)) for name in names]
        self._served.sort(key=lambda served: (served[0].name, served[1].name))

    @property
    def operations(self) -> int:
        return len(self._served)

    def request(self, number: int) -> Request:
        """The operations take turns, so that none is left out."""
        service, operation = self._served[number % len(self._served)]
        chance = self._chance
        request = (
            self._json(service, operation) if service.protocol == "json" else self._rest(operation)
        )
        request.told = f"{service.name}.{operation.name}"
        if chance.random() < 0.15:
            request.body = spoilt_body(request.body, chance)
        if chance.random() < 0.15:
            spoil_head(request, chance)
        return request

    def _json(self, service: Any, operation: OperationModel) -> Request:
        metadata = service.model.metadata
        headers = {
            "X-Amz-Target": f"{metadata['targetPrefix']}.{operation.name}",
            "Content-Type": f"application/x-amz-json-{metadata.get('jsonVersion', '1.1')}",
        }
        return Request("POST", "/", headers, _dump(self._members(operation.input_shape)))

    def _rest(self, operation: OperationModel) -> Request:
        shape = operation.input_shape
        members = self._members(shape)
        path = operation.http["requestUri"]
        headers = {"Content-Type": "application/json"}
        query, body = [], {}
        raw = b""
        for name, value in members.items() if isinstance(members, dict) else ():
            member = shape.members.get(name)
            if member is None:
                continue
            wire = member.serialization.get("name", name)
            text = value if isinstance(value, str) else json.dumps(value)
            match member.serialization.get("location"):
                case "uri":
                    path = path.replace(f"{{{wire}}}", quote(text, safe=""))
                case "querystring":
                    query.append(f"{quote(wire)}={quote(text, safe='')}")
                case "header":
                    headers[wire] = _header_value(text)
                case _ if shape.serialization.get("payload") == name:
                    raw = an_input(self._chance)
                case _:
                    body[wire] = value
        path += "?" + "&".join(query) if query else ""
        streams = operation.name == "GetMedia"
        method = operation.http.get("method", "POST")
        return Request(method, path, headers, raw or _dump(body), streams)

    def _members(self, shape: Shape | None) -> Any:
        return {} if shape is None else self._value(shape, "", 0)

    def _value(self, shape: Shape, name: str, depth: int) -> Any:
        chance = self._chance
        if chance.random() < 0.01:
            return chance.choice(ODD_JSON)
        if chance.random() < 0.75 and (known := self._known.of(name, chance)) is not None:
            return known
        match shape.type_name:
            case "structure":
                return {
                    member: self._value(inner, member, depth + 1)
                    for member, inner in shape.members.items()
                    if member in shape.required_members or chance.random() < 0.3
                    if chance.random() < 0.97
                }
            case "list":
                count = chance.choice((0, 1, 1, 2, shape.metadata.get("min", 1), 30))
                return [self._value(shape.member, name, depth + 1) for _ in range(min(count, 40))]
            case "map":
                return {
                    str(chance.choice(ODD_TEXTS)): self._value(shape.value, "", depth + 1)
                    for _ in range(chance.choice((0, 1, 3, 60)))
                }
            case "string":
                return self._text(shape)
            case "blob":
                blob = chance.choice(BLOBS) if chance.random() < 0.5 else picture(chance)
                return base64.b64encode(blob).decode()
            case "boolean":
                return chance.random() < 0.5
            case "integer" | "long" | "float" | "double":
                edges = [shape.metadata[end] for end in ("min", "max") if end in shape.metadata]
                near = [edge + step for edge in edges for step in (-1, 0, 1)]
                return chance.choice(near if near and chance.random() < 0.7 else NUMBERS)
            case _:
                return chance.choice(NUMBERS)

    def _text(self, shape: Shape) -> str:
        chance = self._chance
        if getattr(shape, "enum", None) and chance.random() < 0.9:
            return str(chance.choice(shape.enum))
        if chance.random() < 0.3:
            return chance.choice(NAMES[:4])
        if chance.random() < 0.4:
            least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 64)
            length = chance.choice((least, least - 1, most, most + 1, 1))
            return "a" * max(0, min(length, 70_000))
        return chance.choice(ODD_TEXTS if chance.random() < 0.5 else NAMES)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


def _header_value(text: str) -> str:
    return "".join(letter for letter in text if " " <= letter <= "~")[:2000]


def spoilt_body(body: bytes, chance: Random) -> bytes:
    """Not JSON, not UTF-8, not as deep, or not as small as anybody expects."""
    at = chance.randrange(len(body) + 1)
    match chance.randrange(10):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + chance.randbytes(3) + body[at:]
        case 2:
            return body.replace(b'"', b"", 1)
        case 3:
            return b"[" * 100_000
        case 4:
            return b'{"a":' * 50_000 + b"1" + b"}" * 50_000
        case 5:
            return chance.choice((b"NaN", b"[]", b"null", b'"x"', b"1", b"\xef\xbb\xbf{}", b"\xff"))
        case 6:
            return body.replace(b":", b": NaN,", 1).replace(b"}", b', "x": Infinity}', 1)
        case 7:
            return b'{"MaxResults": ' + b"9" * 5000 + b"}"
        case 8:
            return body.decode("latin-1").encode("utf-16")
        case _:
            return b'{"\\ud800": "\\udfff", "a": "\\u0000"}' if at % 2 else body * 2


_AUTHORIZATIONS = [
    "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=", "Basic dGVzdDp0ZXN0", "Bearer x", "é" * 9,
    "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=, Signature=", "," * 3000,
    "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/rekognition/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
    "AWS4-HMAC-SHA256 Credential=test/20250101/../kinesis/aws4_request, SignedHeaders=host, "
    "Signature=x",
    "AWS4-HMAC-SHA256 Credential=a/20250101/us-east-1/s3/aws4_request,SignedHeaders=a,Signature=b",
]  # fmt: skip
_TARGETS = [
    "", ".", "RekognitionService", "RekognitionService.", ".ListFaces",
    "RekognitionService.__init__", "Kinesis_20131202.GetRecords", "RekognitionService.ListFaces.x",
    "x" * 3000, "é.ü",
]  # fmt: skip
_PATHS = [
    "/", "//", "/../..", "/%2e%2e/%2e%2e/etc/passwd", "/%00", "/%", "/?a=b&a=c", "/putMedia?x=%ff",
    "/createStream/", "/getMedia/..", "/tags/arn%3Aaws", "/" + "a" * 5000, "/%ed%a0%80", "/;x",
    "/#",
]  # fmt: skip
_METHODS = ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "X"]
_TYPES = ["text/plain", "", "multipart/form-data", "application/json; charset=x", "é" * 50]
_HEADERS = ["X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Host"]
_ENCODINGS = ["gzip", "deflate", "br", "x", "aws-chunked"]
_QUERIES = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Credential=a/b/c", "X-Amz-Expires=-1",
    "a=%zz&b=%ff", "X-Amz-Signature=" + "0" * 64, "=&=&&",
]  # fmt: skip


def spoil_head(request: Request, chance: Random) -> None:
    match chance.randrange(9):
        case 0:
            request.method = chance.choice(_METHODS)
        case 1:
            request.path = chance.choice(_PATHS)
        case 2:
            request.headers["X-Amz-Target"] = chance.choice(_TARGETS)
        case 3:
            request.headers["Content-Type"] = chance.choice(_TYPES)
        case 4 | 5:
            request.headers["Authorization"] = chance.choice(_AUTHORIZATIONS)
        case 6:
            values = ("", "20250101T000000Z", "x" * 2000, "'\"", "é")
            request.headers[chance.choice(_HEADERS)] = chance.choice(values)
        case 7:
            query = chance.choice(_QUERIES)
            request.path += ("&" if "?" in request.path else "?") + query
        case 8:
            request.headers["Content-Encoding"] = chance.choice(_ENCODINGS)


RAW = [
    b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bytes(100),
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", b"POST / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"POST /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"POST \xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    b"P\xc3\x96ST / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST http://evil.example:99999/ HTTP/1.1\r\nHost: a\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: \xff\xfe:x:y\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: \xff\x00\xfe\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip
"""What is hardly HTTP, or none."""
