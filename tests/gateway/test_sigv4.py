"""Signatures: requests really signed by AWS's own code come in, and nothing else does."""

import asyncio
import dataclasses
import hmac
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import boto3
import pytest
from aiohttp import web
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from streamproc.api import rekognition
from streamproc.clock import FakeClock
from streamproc.gateway.door import RequestHead
from streamproc.gateway.errors import (
    ExpiredToken,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    ServiceError,
    UnrecognizedClient,
)
from streamproc.gateway.signature_door import SignatureDoorkeeper
from streamproc.local import kinesis_data, kinesis_video
from streamproc.model.caller import ANYONE, Caller

KEY_ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "tok+/="
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
EMPTY_HASH = sha256(b"").hexdigest()
URL = "http://127.0.0.1:4600/"
BODY = b'{"MaxResults": 5}'


@dataclass(frozen=True)
class StandInKey:
    secret: str = SECRET
    token: str = ""
    expires_at: float | None = None
    caller: Caller = field(default=ANYONE)

    @property
    def is_temporary(self) -> bool:
        return bool(self.token)

    def has_token(self, token: str) -> bool:
        return self.token == token


@dataclass
class StandInRing:
    """One key, which everybody may find."""

    key: StandInKey = field(default_factory=StandInKey)

    async def find(self, access_key_id: str) -> StandInKey | None:
        return self.key if access_key_id == KEY_ID else None


@dataclass(frozen=True)
class Sent:
    """A request as it goes over the wire."""

    head: RequestHead
    body: bytes = b""

    def header(self, name: str, value: str | None) -> "Sent":
        """The same request with this header; None takes it away."""
        kept = [(key, old) for key, old in self.head.headers if key.lower() != name.lower()]
        added = [] if value is None else [(name, value)]
        return dataclasses.replace(
            self, head=dataclasses.replace(self.head, headers=[*kept, *added])
        )

    def signed_headers(self) -> set[str]:
        """The names, as the signature has them."""
        written = re.search("SignedHeaders=([^,&]+)", f"{self.head.headers}{self.head.raw_query}")
        assert written is not None
        return set(unquote(written[1]).split(";"))

    def value(self, name: str) -> str:
        return next(value for key, value in self.head.headers if key.lower() == name.lower())


def admitted(
    sent: Sent,
    service: str = "rekognition",
    *,
    streams: bool = False,
    key: StandInKey | None = None,
    now: datetime = NOW,
) -> Caller:
    """Who comes in with this request. Raises as the doorkeeper does."""
    ring = StandInRing(key or StandInKey())
    door = SignatureDoorkeeper(ring, FakeClock(now.timestamp()), skew_s=300)
    admission = asyncio.run(door.admit(sent.head, service, streams=streams))
    return admission.with_body(None if streams else sent.body)


@pytest.fixture(autouse=True)
def botocore_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)


def wire(method: str, url: str, headers: Any, body: bytes = b"") -> Sent:
    """What an HTTP client makes of a signed request: it adds Host where there is none."""
    parts = urlsplit(url)
    received = [(name, _text(value)) for name, value in headers.items()]
    if "host" not in {name.lower() for name, _ in received}:
        received.append(("Host", parts.netloc))
    return Sent(RequestHead(method, parts.path or "/", parts.query, received), body)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def signed(
    url: str = URL,
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    service: str = "rekognition",
    token: str | None = None,
    secret: str = SECRET,
    signer: type[SigV4Auth] = SigV4Auth,
    params: Any = None,
) -> Sent:
    """A request signed by botocore, as it would send it."""
    if headers is None:
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "RekognitionService.ListCollections",
        }
    request = AWSRequest(method, url, headers=headers, data=body, params=params)
    signer(Credentials(KEY_ID, secret, token), service, "eu-west-1").add_auth(request)
    prepared = request.prepare()
    return wire(prepared.method, prepared.url, prepared.headers, body)


def presigned(url: str, headers: dict[str, str], **options: Any) -> Sent:
    return signed(url, b"", headers, signer=SigV4QueryAuth, **options)


# --- who comes in ------------------------------------------------------------------------


def boto3_call(service: str, operation: str, token: str | None = None, **members: Any) -> Sent:
    """What boto3 would send, caught on its way to the network."""
    client = boto3.client(
        service, region_name="eu-west-1", endpoint_url=URL, aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET, aws_session_token=token,
    )  # fmt: skip
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> AWSResponse:
        caught.append(request)
        return AWSResponse(URL, 400, {}, _Nothing())

    client.meta.events.register("before-send", catch)
    with pytest.raises(client.exceptions.ClientError):
        getattr(client, operation)(**members)
    request = caught[0]
    body = request.body or b""
    return wire(
        request.method, request.url, request.headers, body if isinstance(body, bytes) else b""
    )


class _Nothing:
    def stream(self) -> Iterator[bytes]:
        yield b"{}"


CALLS = [
    ("rekognition", "list_collections", {}),
    ("rekognition", "create_collection", {"CollectionId": "people", "Tags": {"wo": "Tür ✓"}}),
    ("kinesis", "put_record", {"StreamName": "s", "Data": b"\x00\xff", "PartitionKey": "ü"}),
    ("kinesisvideo", "describe_stream", {"StreamName": "front-door"}),
    ("kinesis-video-media", "get_media",
     {"StreamName": "s", "StartSelector": {"StartSelectorType": "NOW"}}),
    ("kinesis-video-archived-media", "list_fragments", {"StreamName": "s"}),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "members"), CALLS)
def test_what_boto3_signs_comes_in(service: str, operation: str, members: Any) -> None:
    signing_name = "kinesisvideo" if "video" in service else service
    assert admitted(boto3_call(service, operation, **members), signing_name) is ANYONE


def test_a_temporary_key_comes_in_with_its_token_and_only_with_it() -> None:
    key = StandInKey(token=TOKEN)
    assert admitted(boto3_call("rekognition", "list_collections", TOKEN), key=key) is ANYONE
    for sent in (signed(), signed(token="another")):
        with pytest.raises(UnrecognizedClient):
            admitted(sent, key=key)
    with pytest.raises(UnrecognizedClient):
        admitted(signed(token=TOKEN))  # a lasting key has none


MEDIA_HEADERS = {
    "x-amzn-stream-name": "front-door",
    "x-amzn-fragment-timecode-type": "ABSOLUTE",
    "x-amzn-producer-start-timestamp": "1769860800.5",
}


def by_hand(headers: dict[str, str], body_hash: str, path: str = "/putMedia") -> Sent:
    """A PutMedia signed as producers written from the documentation do it, without botocore:
    every header, in the order of their names."""
    date = NOW.strftime("%Y%m%dT%H%M%SZ")
    headers = {name.lower(): value for name, value in headers.items()} | {"x-amz-date": date}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n{path}\n\n{lines}\n{names}\n{body_hash}"
    scope = f"{date[:8]}/eu-west-1/kinesisvideo/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), sha256).digest()
    signature = hmac.new(key, text.encode(), sha256).hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return wire("POST", f"http://127.0.0.1:4600{path}", headers | {"Authorization": authorization})


def test_put_media_of_the_c_sdk_comes_in() -> None:
    """Every header is signed, hop-by-hop ones too; Host has no port; no x-amz-content-sha256."""
    sent = by_hand(
        MEDIA_HEADERS
        | {"host": "127.0.0.1", "connection": "keep-alive", "transfer-encoding": "chunked",
           "user-agent": "AWS-SDK-KVS/3.1.1"},
        EMPTY_HASH,
    )  # fmt: skip
    assert admitted(sent, "kinesisvideo", streams=True) is ANYONE


def test_put_media_of_the_java_sdk_comes_in() -> None:
    sent = by_hand(
        MEDIA_HEADERS | {"host": "127.0.0.1:4600", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
        "UNSIGNED-PAYLOAD",
    )
    assert admitted(sent, "kinesisvideo", streams=True) is ANYONE


def test_put_media_of_go_s_presigners_comes_in() -> None:
    sent = presigned(URL + "putMedia", MEDIA_HEADERS, service="kinesisvideo")
    assert "X-Amz-Signature=" in sent.head.raw_query
    assert admitted(sent, "kinesisvideo", streams=True) is ANYONE


def test_put_media_signed_by_botocore_comes_in() -> None:
    """As our own producer does it."""
    headers = MEDIA_HEADERS | {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    sent = signed(URL + "putMedia", b"", headers, service="kinesisvideo")
    assert admitted(sent, "kinesisvideo", streams=True) is ANYONE


def test_a_stream_s_body_has_no_hash_that_could_be_checked() -> None:
    said = sha256(b"media").hexdigest()
    headers = MEDIA_HEADERS | {"X-Amz-Content-SHA256": said}
    with pytest.raises(InvalidSignature, match="stream"):
        admitted(
            signed(URL + "putMedia", b"", headers, service="kinesisvideo"),
            "kinesisvideo",
            streams=True,
        )


def test_the_date_may_come_in_a_date_header() -> None:
    sent = signed(headers={"Date": "to be replaced", "X-Amz-Target": "R.List"})
    assert sent.value("Date") == "Sat, 31 Jan 2026 12:00:00 -0000"
    assert admitted(sent) is ANYONE


async def test_the_aws_cli_comes_in(
    aws_cli_binary: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its real request, bytes and all, by a socket."""
    monkeypatch.undo()  # the command line signs by the real clock
    received: list[Sent] = []

    async def answer(request: web.Request) -> web.Response:
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        url = request.rel_url
        head = RequestHead(request.method, url.raw_path, url.raw_query_string, headers)
        received.append(Sent(head, await request.read()))
        return web.json_response({"CollectionIds": []})

    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "eu-west-1",
    }  # fmt: skip
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    command = [str(aws_cli_binary), "rekognition", "list-collections", "--endpoint-url", url]
    await asyncio.to_thread(
        subprocess.run, command, env=environment, check=True, capture_output=True, timeout=90
    )
    await runner.cleanup()
    [sent] = received
    # to_thread: admitted() runs a loop of its own
    caller = await asyncio.to_thread(admitted, sent, now=datetime.now(UTC))
    assert caller is ANYONE


@pytest.fixture
def aws_cli_binary() -> Path:
    root = Path(__file__).resolve().parent.parent.parent
    binary = root / ".venv-awscli" / "bin" / "aws"
    if not binary.exists():
        pytest.skip("aws-cli is not installed beside the project; `make test` installs it")
    return binary


PATHS = ["/a%2Fb/c", "/a+b", "/a%20b", "/%C3%BCber", "/a%252Fb", "/tags/arn%3Aaws%3Ax", "/a;b=c,d"]
QUERIES = [
    "a=b%20c", "a=b+c", "a=", "a", "a=1&a=2&a=1", "b=2&a=1", "%C3%BC=%E2%9C%93", "a=b%2Fc",
    "a=b/c", "a=b=c", "A=1&a=2", "a=1&&b=2", "a=~._-", "x?y=z",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_strange_paths_that_botocore_signs_come_in(path: str, method: str) -> None:
    assert admitted(signed(URL.rstrip("/") + path, b"", {}, method=method)) is ANYONE


@pytest.mark.parametrize("query", QUERIES)
def test_strange_queries_that_botocore_signs_come_in(query: str) -> None:
    assert admitted(signed(f"{URL}tags?{query}", b"", {}, method="GET")) is ANYONE
    plain = "&".join(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)
    if "a=1&a" not in query and "+" not in query:  # botocore's presigner merges repeated keys
        assert admitted(presigned(f"{URL}tags?{plain}", {}, method="GET")) is ANYONE


@given(
    st.dictionaries(st.text(min_size=1), st.text(), max_size=4),
    st.text(alphabet=st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example({"a b": "c+d", "": ""}, "ü b")
def test_any_parameters_that_botocore_signs_come_in(params: dict[str, str], part: str) -> None:
    """Signed with %20 for a space, sent with +, as botocore does with AWSRequest.params."""
    assume(part not in {".", ".."})
    assume(not any(name.lower().startswith("x-amz-") for name in params))
    assume(all(_encodable(text) for pair in params.items() for text in pair))
    sent = signed(f"{URL}tags/{quote(part, safe='')}", b"", {}, method="GET", params=params)
    assert admitted(sent) is ANYONE


def _encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


# --- who does not ------------------------------------------------------------------------


def flipped(text: str, bit: int) -> str:
    """The text with one bit of its bytes turned."""
    raw = bytearray(text.encode("latin-1"))
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    return raw.decode("latin-1")


def alter(sent: Sent, part: str, bit: int) -> Sent | None:
    """The request with one bit of a part turned, None where it has no such part."""
    head = sent.head
    match part:
        case "method":
            return Sent(dataclasses.replace(head, method=flipped(head.method, bit)), sent.body)
        case "path":
            return Sent(dataclasses.replace(head, raw_path=flipped(head.raw_path, bit)), sent.body)
        case "query" if head.raw_query:
            query = flipped(head.raw_query, bit)
            return Sent(dataclasses.replace(head, raw_query=query), sent.body)
        case "body" if sent.body:
            body = flipped(sent.body.decode("latin-1"), bit).encode("latin-1")
            return Sent(head, body)
        case "header":
            signed_ones = sent.signed_headers() | {"authorization"}
            covered = [
                at for at, (name, _) in enumerate(head.headers) if name.lower() in signed_ones
            ]
            at = covered[bit % len(covered)]
            name, value = head.headers[at]
            headers = list(head.headers)
            headers[at] = (name, flipped(value, bit // len(covered)))
            return Sent(dataclasses.replace(head, headers=headers), sent.body)
    return None


REQUESTS: dict[str, tuple[Callable[[], Sent], str, bool]] = {
    "boto3": (lambda: boto3_call("rekognition", "list_collections"), "rekognition", False),
    "get": (
        lambda: signed(URL + "a%2Fb/c?x=1+2&y=%7e", b"", {"X-Amz-Thing": "a b"}, method="GET"),
        "rekognition",
        False,
    ),
    "presigned": (
        lambda: presigned(URL + "putMedia", MEDIA_HEADERS, service="kinesisvideo", token=TOKEN),
        "kinesisvideo",
        True,
    ),
    "unsigned payload": (
        lambda: by_hand(
            MEDIA_HEADERS | {"host": "x", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
            "UNSIGNED-PAYLOAD",
        ),
        "kinesisvideo",
        True,
    ),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_no_bit_of_a_signed_request_can_be_turned(kind: str) -> None:
    make, service, streams = REQUESTS[kind]
    sent = make()
    key = StandInKey(token=TOKEN if kind == "presigned" else "")
    assert admitted(sent, service, streams=streams, key=key) is ANYONE

    @given(
        st.sampled_from(["method", "path", "query", "header", "header", "body"]),
        st.integers(0, 1 << 16),
    )
    @settings(max_examples=250, deadline=None)
    def check(part: str, bit: int) -> None:
        altered = alter(sent, part, bit)
        assume(altered is not None)
        assert altered is not None
        with pytest.raises(ServiceError):
            admitted(altered, service, streams=streams, key=key)

    check()


def test_a_space_that_is_none_is_not_taken_for_one() -> None:
    """The canonical form of a header folds every white space of Unicode."""
    sent = signed(headers={"X-Amz-Thing": "a b"})
    assert admitted(sent) is ANYONE
    for space in ("\xa0", "\x1c", "\x85", "\t"):
        with pytest.raises(InvalidSignature, match="printable"):
            admitted(sent.header("X-Amz-Thing", f"a{space}b"))


@pytest.mark.parametrize("name", ["X-Amz-Target", "x-amzn-stream-name", "X-Amz-Security-Token"])
def test_a_header_that_means_something_cannot_be_added(name: str) -> None:
    sent = signed(headers={})
    assert admitted(sent) is ANYONE
    with pytest.raises(InvalidSignature, match=name.lower()):
        admitted(sent.header(name, "added"))


def test_what_a_load_balancer_adds_does_no_harm() -> None:
    sent = signed().header("X-Amzn-Trace-Id", "Root=1-abc").header("X-Forwarded-For", "10.0.0.1")
    assert admitted(sent) is ANYONE


@pytest.mark.parametrize(
    "service",
    [
        rekognition.model,
        kinesis_data.service.model,
        kinesis_video.control.model,
        kinesis_video.media.model,
        kinesis_video.archived.model,
    ],
    ids=lambda model: model.service_name,
)
def test_every_member_that_travels_in_a_header_has_to_be_signed(service: Any) -> None:
    for name in service.operation_names:
        shape = service.operation_model(name).input_shape
        for member in shape.members.values() if shape else ():
            if member.serialization.get("location") == "header":
                assert member.serialization["name"].lower().startswith("x-amz")


def twice(sent: Sent, name: str, value: str | None = None) -> Sent:
    repeated = (name, value or sent.value(name))
    return Sent(dataclasses.replace(sent.head, headers=[*sent.head.headers, repeated]), sent.body)


@pytest.mark.parametrize("name", ["Host", "X-Amz-Date", "X-Amz-Target", "Content-Type"])
def test_a_signed_header_comes_once(name: str) -> None:
    sent = signed(headers={"Host": "a", "Content-Type": "j", "X-Amz-Target": "R.List"})
    assert admitted(sent) is ANYONE
    with pytest.raises(InvalidSignature, match="several times"):
        admitted(twice(sent, name))


def test_there_is_one_signature() -> None:
    sent = signed()
    with pytest.raises(IncompleteSignature, match="several"):
        admitted(twice(sent, "Authorization"))
    query = presigned(URL, {}).head.raw_query
    both = Sent(dataclasses.replace(sent.head, raw_query=query), sent.body)
    with pytest.raises(IncompleteSignature, match="Both"):
        admitted(both)
    doubled = presigned(URL, {})
    doubled = Sent(
        dataclasses.replace(doubled.head, raw_query=f"{query}&X-Amz-Date=20260131T120000Z")
    )
    with pytest.raises(IncompleteSignature, match="twice"):
        admitted(doubled)
    authorization = sent.value("Authorization")
    with pytest.raises(IncompleteSignature, match="twice"):
        admitted(sent.header("Authorization", f"{authorization}, Signature=0"))


@pytest.mark.parametrize("path", ["/a/../tags", "//tags", "/./tags", "/tags/.", "/a//b"])
def test_a_path_that_a_signature_would_normalise_is_refused(path: str) -> None:
    """/a/../tags is signed as /tags is; what would be served may be another matter."""
    sent = signed(URL.rstrip("/") + path, b"", {}, method="GET")
    with pytest.raises(InvalidSignature, match="segments"):
        admitted(sent)


@pytest.mark.parametrize("path", ["-", "", "*", "tags", "/a b", "/ü", "/a#b", "/a?b", "/\x7f"])
def test_a_path_is_one_that_a_request_line_may_have(path: str) -> None:
    """-tags would become part of the host of the URL that is signed again."""
    sent = signed(URL, b"", {}, method="GET")
    assert admitted(sent) is ANYONE
    with pytest.raises(InvalidSignature, match="percent-encoded"):
        admitted(Sent(dataclasses.replace(sent.head, raw_path=path)))


@pytest.mark.parametrize("headers", ["host;host", "x-amz-date;host", "Host", "host;", "", "ü"])
def test_signed_headers_are_a_sorted_list(headers: str) -> None:
    sent = signed()
    authorization = sent.value("Authorization")
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0]
    with pytest.raises(IncompleteSignature):
        admitted(sent.header("Authorization", authorization.replace(names, headers)))


def test_host_must_be_signed() -> None:
    sent = signed()
    authorization = sent.value("Authorization").replace("content-type;host;", "content-type;")
    with pytest.raises(InvalidSignature, match="host"):
        admitted(sent.header("Authorization", authorization))


def test_unsigned_is_missing_a_token() -> None:
    with pytest.raises(MissingAuthenticationToken) as refused:
        admitted(signed().header("Authorization", None))
    assert refused.value.status == 403


def test_an_unknown_key_and_an_expired_one_are_not_recognised() -> None:
    class Nobody:
        async def find(self, access_key_id: str) -> None:
            return None

    door = SignatureDoorkeeper(Nobody(), FakeClock(NOW.timestamp()), 300)
    with pytest.raises(UnrecognizedClient, match="security token included in the request is in"):
        asyncio.run(door.admit(signed().head, "rekognition", streams=False))
    with pytest.raises(UnrecognizedClient):
        admitted(signed(), key=StandInKey(expires_at=NOW.timestamp() - 1))
    assert admitted(signed(), key=StandInKey(expires_at=NOW.timestamp() + 1)) is ANYONE


def test_only_who_has_the_token_hears_that_it_has_expired() -> None:
    key = StandInKey(token=TOKEN, expires_at=NOW.timestamp() - 1)
    with pytest.raises(ExpiredToken, match="is expired"):
        admitted(signed(token=TOKEN), key=key)
    with pytest.raises(UnrecognizedClient):
        admitted(signed(token="a guess"), key=key)


def test_another_secret_does_not_fit() -> None:
    with pytest.raises(InvalidSignature, match="does not match the signature you provided"):
        admitted(signed(secret="another"))


def test_another_service_s_signature_does_not_fit() -> None:
    with pytest.raises(InvalidSignature, match="correct service: 'kinesis'"):
        admitted(signed(), "kinesis")


def test_another_region_s_signature_does_not_fit() -> None:
    sent = signed()
    moved = sent.value("Authorization").replace("eu-west-1", "us-east-1")
    with pytest.raises(InvalidSignature, match="does not match"):
        admitted(sent.header("Authorization", moved))


def test_a_signature_lives_for_the_skew_in_both_directions() -> None:
    for late in (-300, 0, 300):
        assert admitted(signed(), now=NOW + timedelta(seconds=late)) is ANYONE
    with pytest.raises(InvalidSignature, match="Signature expired: 20260131T120000Z is now") as e:
        admitted(signed(), now=NOW + timedelta(minutes=15))
    assert "20260131T121000Z (20260131T121500Z - 5 min.)" in e.value.message
    with pytest.raises(InvalidSignature, match="not yet current: 20260131T120000Z is still later"):
        admitted(signed(), now=NOW - timedelta(seconds=301))


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    sent = presigned(URL, {})  # botocore says an hour
    assert admitted(sent, now=NOW + timedelta(minutes=59)) is ANYONE
    with pytest.raises(InvalidSignature, match="X-Amz-Expires"):
        admitted(sent, now=NOW + timedelta(seconds=3601))
    for expires in (0, -1, 604_801, 99_999_999, "soon"):
        signer = SigV4QueryAuth(Credentials(KEY_ID, SECRET), "rekognition", "eu-west-1", expires)
        request = AWSRequest("GET", URL)
        signer.add_auth(request)
        with pytest.raises(InvalidSignature, match="1 to 604800"):
            admitted(wire("GET", request.url, request.headers))


def test_a_date_is_needed_and_is_the_credential_s() -> None:
    sent = signed()
    names = sent.value("Authorization")
    dateless = sent.header("Authorization", names.replace(";x-amz-date", ""))
    with pytest.raises(InvalidSignature, match="20260131T120000Z"):
        admitted(dateless.header("X-Amz-Date", None))
    with pytest.raises(InvalidSignature, match="'X-Amz-Date' or 'Date'"):
        admitted(sent.header("X-Amz-Date", "2026-01-31T12:00:00Z"))
    with pytest.raises(InvalidSignature, match=r"'20260131' != '20260201'"):
        admitted(sent.header("X-Amz-Date", "20260201T000000Z"))
    for never in ("20261331T120000Z", "00000000T000000Z", "99999999T999999Z"):
        with pytest.raises(InvalidSignature):
            admitted(sent.header("X-Amz-Date", never))


def test_a_body_is_what_was_signed() -> None:
    sent = signed()
    with pytest.raises(InvalidSignature, match="does not match"):
        admitted(dataclasses.replace(sent, body=sent.body + b" "))
    said = signed(headers={"X-Amz-Content-SHA256": sha256(BODY).hexdigest()})
    assert admitted(said) is ANYONE
    with pytest.raises(InvalidSignature, match="x-amz-content-sha256"):
        admitted(dataclasses.replace(said, body=b"{}"))


@pytest.mark.parametrize(
    "said", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", "A" * 64]
)
def test_only_a_stream_may_leave_its_body_unsigned(said: str) -> None:
    with pytest.raises(InvalidSignature, match="must be signed"):
        admitted(signed(headers={"X-Amz-Content-SHA256": said}))


def test_a_hash_of_nothing_is_no_hash_of_a_body() -> None:
    sent = signed(headers={"X-Amz-Content-SHA256": EMPTY_HASH})
    with pytest.raises(InvalidSignature):
        admitted(sent)


@given(st.text(max_size=60), st.text(max_size=60), st.lists(st.tuples(st.text(), st.text())))
@settings(max_examples=150, deadline=None)
def test_any_head_is_refused_in_one_way(path: str, query: str, headers: Any) -> None:
    ours = signed().head.headers
    for sent in (
        Sent(RequestHead("POST", f"/{path}", query, [*ours, *headers])),
        Sent(RequestHead("POST", "/", "", headers)),
        Sent(RequestHead("GET", "/", f"{query}&{presigned(URL, {}).head.raw_query}", headers)),
    ):
        with pytest.raises(ServiceError) as refused:
            admitted(sent)
        assert refused.value.status in (400, 403)
        assert refused.value.message.isprintable()
