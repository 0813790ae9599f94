"""The attacks that a daemon is put through, and what each must get: a table, and its means.

An attack sends bytes of its own to a live daemon that verifies signatures. Run as a program,
this prints the table with what was got:

    python -m tests.end_to_end.attacks
"""

import asyncio
import base64
import contextlib
import gzip
import io
import json
import socket
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from PIL import Image

from streamproc.access.keys import KeyStore
from streamproc.access.presets import preset
from streamproc.clock import FakeClock, SystemClock

REGION: Final = "us-east-1"
TIMEOUT_S: Final = 90.0
BODY_TIMEOUT_S: Final = 2
CONNECTIONS_MAX: Final = 32
HEADER_BYTES_MAX: Final = 8192
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
OPTIONS: Final = (
    "--set", "auth.required=true",
    "--set", "logging.level=DEBUG",
    "--set", f"server.body_timeout_s={BODY_TIMEOUT_S}",
    "--set", f"server.connections_max={CONNECTIONS_MAX}",
    "--set", f"server.header_bytes_max={HEADER_BYTES_MAX}",
    "--set", f"server.request_bytes_max={REQUEST_BYTES_MAX}",
)  # fmt: skip
CLOSED: Final = (0, "closed")
"""A connection that ended without an answer."""

Got: TypeAlias = tuple[int, str]  # HTTP status and code; ok for a success


@dataclass(frozen=True)
class Keys:
    """Of the daemon under attack."""

    admin: Credentials
    viewer: Credentials
    camera: Credentials  # of the stream door
    revoked: Credentials
    expired: Credentials
    temporary: Credentials

    @property
    def secrets(self) -> list[str]:
        every = vars(self).values()
        return [each.secret_key for each in every] + [each.token for each in every if each.token]


def make_keys(folder: Path) -> Keys:
    """Make them in a data folder, beside its daemon or before it."""
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_make_keys(folder / "keys.db"))


async def _make_keys(file: Path) -> Keys:
    store = await KeyStore.open(file, SystemClock())

    async def create(name: str, policy: str, lifetime_s: float | None = None) -> Credentials:
        new = await store.create(name, policy, lifetime_s)
        return Credentials(new.id, new.secret, new.token or None)

    try:
        keys = Keys(
            admin=await create("admin", preset("admin", [])),
            viewer=await create("viewer", preset("viewer", [])),
            camera=await create("camera", preset("camera", ["door"])),
            revoked=await create("revoked", preset("admin", [])),
            expired=Credentials("", ""),
            temporary=await create("temporary", preset("admin", []), 3600.0),
        )
        await store.revoke(keys.revoked.access_key)
    finally:
        await store.aclose()
    store = await KeyStore.open(file, FakeClock(time.time() - 7200))
    try:
        expired = await create("expired", preset("admin", []), 3600.0)
    finally:
        await store.aclose()
    return Keys(**{**vars(keys), "expired": expired})


@dataclass(frozen=True)
class Target:
    """A daemon, and how to speak to it."""

    url: str
    keys: Keys

    @property
    def address(self) -> tuple[str, int]:
        where = urlsplit(self.url)
        assert where.hostname
        assert where.port
        return where.hostname, where.port

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=TIMEOUT_S)

    def send(self, data: bytes) -> Got:
        """What these bytes get."""
        with self.connect() as wire:
            with contextlib.suppress(ConnectionError):  # refused before all of it was sent
                wire.sendall(data)
            return answer_on(wire)

    def call(self, call: "Call", credentials: Credentials | None = None) -> Got:
        return self.send(call.signed(self, credentials or self.keys.admin))

    def is_well(self) -> bool:
        """Whether the owner of a key is still served. One who is told that there are too many
        connections tries again, as clients of AWS do, until those that left are counted out."""
        deadline = time.monotonic() + TIMEOUT_S
        while (got := self.call(LIST))[0] == 503 and time.monotonic() < deadline:
            time.sleep(0.05)
        return got == (200, "ok")


def answer_on(wire: socket.socket) -> Got:
    """Status and code of the next answer."""
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            chunk = wire.recv(65536)
            if not chunk:
                return CLOSED
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        status = int(lines[0].split()[1])
        if status == 100:
            return status, "continue"
        headers = dict(line.split(": ", 1) for line in lines[1:])
        while len(body) < int(headers.get("content-length", 0)):
            body += wire.recv(65536)
    except ConnectionError:
        return CLOSED
    return status, "ok" if status == 200 else str(json.loads(body)["__type"])


class _At(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """A signer with a clock of its own."""

    def __init__(self, *about: Any, moment: datetime) -> None:
        super().__init__(*about)
        self._moment = moment

    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = self._moment.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


@dataclass(frozen=True)
class Call:
    """One request as its signer has it; change it after signing with the arguments of raw()."""

    body: bytes = b"{}"
    path: str = "/"
    target: str = "RekognitionService.ListCollections"
    service: str = "rekognition"
    headers: Mapping[str, str] = field(default_factory=dict)

    def sign(
        self, target: Target, credentials: Credentials, *, region: str = REGION, age_s: float = 0
    ) -> dict[str, str]:
        """The headers of the request, signed."""
        request = AWSRequest("POST", target.url + self.path, data=self.body, headers=self._headers)
        moment = datetime.now(UTC) - timedelta(seconds=age_s)
        _At(credentials, self.service, region, moment=moment).add_auth(request)
        return {"Host": urlsplit(target.url).netloc, **dict(request.headers.items())}

    @property
    def _headers(self) -> dict[str, str]:
        typed = {"Content-Type": "application/x-amz-json-1.1"}
        return typed | ({"X-Amz-Target": self.target} if self.target else {}) | dict(self.headers)

    def signed(self, target: Target, credentials: Credentials, **how: Any) -> bytes:
        return self.raw(self.sign(target, credentials, **how))

    def raw(
        self, headers: Mapping[str, str], *, body: bytes | None = None, length: int | None = None
    ) -> bytes:
        sent = self.body if body is None else body
        lines = [f"POST {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if "Transfer-Encoding" not in headers:
            lines.append(f"Content-Length: {len(sent) if length is None else length}")
        return "\r\n".join([*lines, "", ""]).encode() + sent


def rekognition(operation: str, **members: Any) -> Call:
    return Call(json.dumps(members).encode(), target=f"RekognitionService.{operation}")


LIST = Call()
SECRETS = rekognition("DeleteCollection", CollectionId="people")
PUT_MEDIA = Call(
    b"", "/putMedia", "", "kinesisvideo",
    {"x-amzn-stream-name": "window", "x-amzn-fragment-timecode-type": "ABSOLUTE",
     "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"},
)  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """What is tried, and the answer it must get."""

    name: str
    send: Callable[[Target], Got]
    due: Got


def attack(name: str, status: int, code: str) -> Callable[[Callable[[Target], Got]], None]:
    """Add the decorated function to the table."""

    def register(send: Callable[[Target], Got]) -> None:
        ATTACKS.append(Attack(name, send, (status, code)))

    return register


ATTACKS: list[Attack] = []

# --- who somebody claims to be ---------------------------------------------------------------

_MISSING = "MissingAuthenticationTokenException"
_UNKNOWN = "UnrecognizedClientException"
_WRONG = "InvalidSignatureException"
_HALF = "IncompleteSignatureException"
_DENIED = "AccessDeniedException"


@attack("unsigned", 403, _MISSING)
def _(target: Target) -> Got:
    headers = {"Host": "x", "X-Amz-Target": SECRETS.target}
    return target.send(SECRETS.raw(headers | {"Content-Type": "application/x-amz-json-1.1"}))


@attack("unsigned PutMedia", 403, _MISSING)
def _(target: Target) -> Got:
    return target.send(PUT_MEDIA.raw({"Host": "x", **PUT_MEDIA.headers}))


@attack("wrong key", 403, _UNKNOWN)
def _(target: Target) -> Got:
    return target.call(LIST, Credentials("AKIAIOSFODNN7EXAMPLE", target.keys.admin.secret_key))


@attack("wrong secret", 403, _WRONG)
def _(target: Target) -> Got:
    return target.call(LIST, Credentials(target.keys.admin.access_key, "x" * 40))


@attack("empty secret", 403, _WRONG)
def _(target: Target) -> Got:
    return target.call(LIST, Credentials(target.keys.admin.access_key, ""))


@attack("altered body", 403, _WRONG)
def _(target: Target) -> Got:
    headers = SECRETS.sign(target, target.keys.admin)
    return target.send(SECRETS.raw(headers, body=SECRETS.body.replace(b"people", b"guests")))


@attack("altered header", 403, _WRONG)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {"X-Amz-Target": "RekognitionService.DeleteCollection"}))


@attack("altered path", 403, _WRONG)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(Call(path="/elsewhere").raw(headers))


@attack("added x-amz header", 403, _WRONG)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {"X-Amz-Extra": "1"}))


@attack("added stream name to a signed PutMedia", 403, _WRONG)
def _(target: Target) -> Got:
    unnamed = {k: v for k, v in PUT_MEDIA.headers.items() if k != "x-amzn-stream-name"}
    call = Call(b"", "/putMedia", "", "kinesisvideo", unnamed)
    headers = call.sign(target, target.keys.camera)
    return target.send(call.raw(headers | {"x-amzn-stream-name": "window"}))


@attack("replayed after 15 minutes", 403, _WRONG)
def _(target: Target) -> Got:
    return target.send(LIST.signed(target, target.keys.admin, age_s=900))


@attack("from 15 minutes ahead", 403, _WRONG)
def _(target: Target) -> Got:
    return target.send(LIST.signed(target, target.keys.admin, age_s=-900))


@attack("presigned, after its time", 403, _WRONG)
def _(target: Target) -> Got:
    request = AWSRequest("POST", target.url + "/putMedia", headers=dict(PUT_MEDIA.headers))
    SigV4QueryAuth(target.keys.admin, "kinesisvideo", REGION, expires=1).add_auth(request)
    time.sleep(2.1)  # a second is the least that can be signed
    signed = urlsplit(request.url)
    call = Call(b"", f"{signed.path}?{signed.query}")
    return target.send(call.raw({"Host": signed.netloc, **dict(request.headers.items())}))


@attack("other region in the scope than was signed", 403, _WRONG)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin, region="eu-west-1")
    changed = headers["Authorization"].replace("/eu-west-1/", f"/{REGION}/")
    return target.send(LIST.raw(headers | {"Authorization": changed}))


@attack("signed for another service", 403, _WRONG)
def _(target: Target) -> Got:
    return target.call(Call(service="kinesis"))


@attack("revoked key", 403, _UNKNOWN)
def _(target: Target) -> Got:
    return target.call(LIST, target.keys.revoked)


@attack("expired temporary key", 403, "ExpiredTokenException")
def _(target: Target) -> Got:
    return target.call(LIST, target.keys.expired)


@attack("temporary key with a wrong session token", 403, _UNKNOWN)
def _(target: Target) -> Got:
    key = target.keys.temporary
    return target.call(LIST, Credentials(key.access_key, key.secret_key, "x" * 64))


@attack("temporary key without its session token", 403, _UNKNOWN)
def _(target: Target) -> Got:
    key = target.keys.temporary
    return target.call(LIST, Credentials(key.access_key, key.secret_key))


@attack("another algorithm", 400, _HALF)
def _(target: Target) -> Got:
    return target.send(LIST.raw({"Host": "x", "Authorization": "AWS AKIAIOSFODNN7EXAMPLE:abc="}))


@attack("half a signature", 400, _HALF)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    cut = headers["Authorization"].split(", SignedHeaders")[0]
    return target.send(LIST.raw(headers | {"Authorization": cut}))


@attack("two signatures", 400, _HALF)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {"authorization": headers["Authorization"]}))


@attack("key without the right", 400, _DENIED)
def _(target: Target) -> Got:
    return target.call(SECRETS, target.keys.viewer)


@attack("camera's key on another camera's stream", 403, _DENIED)
def _(target: Target) -> Got:
    return target.call(PUT_MEDIA, target.keys.camera)


# --- ids that would be paths -----------------------------------------------------------------


@attack("CollectionId that is a path", 400, "InvalidParameterException")
def _(target: Target) -> Got:
    return target.call(rekognition("CreateCollection", CollectionId="../../etc/passwd"))


@attack("StreamName that is a path", 400, "InvalidArgumentException")
def _(target: Target) -> Got:
    body = json.dumps({"StreamName": "../../tmp/x"}).encode()
    return target.call(Call(body, "/createStream", "", "kinesisvideo"))


@attack("StreamName of dots alone", 200, "ok")  # a legal name, and never a path
def _(target: Target) -> Got:
    body = json.dumps({"StreamName": ".."}).encode()
    return target.call(Call(body, "/createStream", "", "kinesisvideo"))


@attack("ExternalImageId that is a path", 400, "InvalidParameterException")
def _(target: Target) -> Got:
    image = {"Bytes": base64.b64encode(_small_png()).decode()}
    return target.call(
        rekognition("IndexFaces", CollectionId="people", ExternalImageId="../x", Image=image)
    )


def _s3_object(name: str, bucket: str = "clips") -> Call:
    return rekognition("DetectFaces", Image={"S3Object": {"Bucket": bucket, "Name": name}})


@attack("object name that climbs out of its bucket", 400, "InvalidS3ObjectException")
def _(target: Target) -> Got:
    return target.call(_s3_object("../secret.png"))


@attack("object name that is absolute", 400, "InvalidS3ObjectException")
def _(target: Target) -> Got:
    return target.call(_s3_object("/etc/passwd"))


@attack("symlink to a file outside the bucket", 400, "InvalidS3ObjectException")
def _(target: Target) -> Got:
    return target.call(_s3_object("link.png"))


@attack("symlinked folder in the bucket", 400, "InvalidS3ObjectException")
def _(target: Target) -> Got:
    return target.call(_s3_object("folder/secret.png"))


# --- too much of anything --------------------------------------------------------------------

_LARGE = "RequestHeaderSectionTooLargeException"


@attack("oversized body, declared", 413, "RequestEntityTooLargeException")
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers, body=b" " * 1000, length=REQUEST_BYTES_MAX + 1))


@attack("oversized body, in chunks", 413, "RequestEntityTooLargeException")
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin) | {"Transfer-Encoding": "chunked"}
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    return target.send(LIST.raw(headers, body=chunk * (REQUEST_BYTES_MAX // 0x100000 + 1)))


@attack("oversized header", 431, _LARGE)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {"X-Large": "x" * (HEADER_BYTES_MAX + 1)}))


@attack("too many headers", 431, _LARGE)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {f"X-{number}": "" for number in range(1000)}))


@attack("oversized URL", 431, _LARGE)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(Call(path="/?" + "x" * HEADER_BYTES_MAX).raw(headers))


@attack("slow body", 408, "RequestTimeoutException")
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    with target.connect() as wire:
        wire.sendall(LIST.raw(headers, body=b"", length=1000))
        return _drip(wire, b" " * 1000)


@attack("slow head", 408, "RequestTimeoutException")
def _(target: Target) -> Got:
    with target.connect() as wire:
        return _drip(wire, b"POST / HTTP/1.1\r\nHost: " + b"x" * 1000)


def _drip(wire: socket.socket, data: bytes) -> Got:
    """A byte every tenth of a second, until there is an answer."""
    wire.settimeout(0.1)
    for byte in data:
        try:
            if not wire.recv(1, socket.MSG_PEEK):
                return CLOSED
        except TimeoutError:
            wire.sendall(bytes([byte]))
        else:
            wire.settimeout(TIMEOUT_S)
            return answer_on(wire)
    return (-1, "nothing within a hundred seconds")


@attack("gzip bomb", 400, "MalformedHttpRequestException")
def _(target: Target) -> Got:
    call = Call(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
    return target.call(call)


@attack("PNG of 40 gigapixels in Image.Bytes", 400, "ImageTooLargeException")
def _(target: Target) -> Got:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(2_000_000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed)
    return target.call(_detect(bomb + chunk(b"IEND", b"")))


@attack("PNG with a text of 256 MB", 400, "InvalidImageFormatException")
def _(target: Target) -> Got:
    data = b"Comment\0\0" + zlib.compress(bytes(256 * 1024 * 1024), 9)
    text = struct.pack(">I", len(data)) + b"zTXt" + data
    text += struct.pack(">I", zlib.crc32(b"zTXt" + data))
    small = _small_png()
    return target.call(_detect(small[:33] + text + small[33:]))


@attack("JPEG of 4 gigapixels in Image.Bytes", 400, "ImageTooLargeException")
def _(target: Target) -> Got:
    file = io.BytesIO()
    Image.new("RGB", (640, 480)).save(file, "JPEG")
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0") + 5  # start of frame: length, precision, height, width
    data[at : at + 4] = struct.pack(">HH", 65500, 65500)
    return target.call(_detect(bytes(data)))


@attack("JSON nested a million times", 400, "SerializationException")
def _(target: Target) -> Got:
    return target.call(Call(b"[" * 1_000_000))


def _detect(picture: bytes) -> Call:
    return rekognition("DetectFaces", Image={"Bytes": base64.b64encode(picture).decode()})


def _small_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (100, 100)).save(file, "PNG")
    return file.getvalue()


@attack("one connection too many", 503, "ServiceUnavailableException")
def _(target: Target) -> Got:
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX + 8):
            wire = stack.enter_context(target.connect())
        return answer_on(wire)


# --- what could be read in two ways ----------------------------------------------------------

_MALFORMED = "MalformedHttpRequestException"


@attack("Content-Length and Transfer-Encoding", 400, _MALFORMED)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    both = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    return target.send(LIST.raw(headers | both, body=b"0\r\n\r\nGET / HTTP/1.1\r\n"))


@attack("two Content-Lengths", 400, _MALFORMED)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {"content-length": "7"}))


@attack("folded header", 400, _MALFORMED)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin)
    return target.send(LIST.raw(headers | {"X-Folded": "a\r\n b"}))


@attack("bare line feeds", 400, _MALFORMED)
def _(target: Target) -> Got:
    return target.send(LIST.signed(target, target.keys.admin).replace(b"\r\n", b"\n"))


@attack("chunk with a broken size", 400, _MALFORMED)
def _(target: Target) -> Got:
    headers = LIST.sign(target, target.keys.admin) | {"Transfer-Encoding": "chunked"}
    return target.send(LIST.raw(headers, body=b"zz\r\n{}\r\n0\r\n\r\n"))


@attack("no HTTP at all", 400, _MALFORMED)
def _(target: Target) -> Got:
    return target.send(bytes.fromhex("16030100c8010000c403") + b"\n" * 10)


# --- the table -------------------------------------------------------------------------------


def buckets(folder: Path) -> tuple[str, ...]:
    """A bucket with links that lead out of it; the options that serve it."""
    bucket, outside = folder / "clips", folder / "outside"
    for each in (bucket, outside):
        each.mkdir()
    (outside / "secret.png").write_bytes(_small_png())
    (folder / "secret.png").write_bytes(_small_png())
    (bucket / "link.png").symlink_to(outside / "secret.png")
    (bucket / "folder").symlink_to(outside, target_is_directory=True)
    return ("--set", f"buckets.clips={bucket}")


def prepare(target: Target) -> None:
    """What attacks aim at."""
    assert target.call(rekognition("CreateCollection", CollectionId="people")) == (200, "ok")
    for name in ("door", "window"):
        body = json.dumps({"StreamName": name}).encode()
        assert target.call(Call(body, "/createStream", "", "kinesisvideo")) == (200, "ok")


def rows(target: Target) -> Iterator[tuple[Attack, Got, bool]]:
    """Every attack, what it got, and whether the daemon was well afterwards."""
    for each in ATTACKS:
        yield each, each.send(target), target.is_well()


def main() -> None:
    """Print the table, as docs/security.md has it."""
    from tests.conftest import DaemonProcess

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = make_keys(folder / "data")
        options = ("--engine", "dlib", *OPTIONS, *buckets(folder))
        daemon = DaemonProcess(folder / "data", *options).start()
        try:
            target = Target(daemon.url, keys)
            prepare(target)
            print("| attack | what it got | daemon afterwards |\n|---|---|---|")
            failures = 0
            for each, got, is_well in rows(target):
                failures += got != each.due or not is_well
                print(f"| {each.name} | {got[0]} {got[1]} | {'well' if is_well else 'NOT WELL'} |")
        finally:
            daemon.stop()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
