"""Who may see what: the API's own door, for plain GET requests."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from streamproc.access.keys import NewKey
from streamproc.access.presets import preset
from streamproc.gateway.door import OpenDoor, RequestHead
from streamproc.gateway.errors import AccessDenied
from tests.end_to_end.policed import ACCOUNT, REGION, Policed, policed_daemon
from tests.peers.sse import listening
from tests.web.conftest import Serve

EVENTS = "/console/events"
VIEW = "/console/view?name=there"
ROLE = "arn:aws:iam::000000000000:role/any"


# --- where keys are asked for -------------------------------------------------------------


@pytest.fixture(scope="module")
def policed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policed]:
    """A daemon with a processor, there."""
    with policed_daemon(tmp_path_factory.mktemp("policed") / "data") as daemon:
        admin = key_of(daemon, "admin")
        kinesis = daemon.client("kinesis", admin)
        kinesis.create_stream(StreamName="there", ShardCount=1)
        video = daemon.client("kinesisvideo", admin).create_stream(StreamName="there")
        daemon.client("rekognition", admin).create_collection(CollectionId="people")
        daemon.client("rekognition", admin).create_stream_processor(
            Name="there",
            Input={"KinesisVideoStream": {"Arn": video["StreamARN"]}},
            Output={"KinesisDataStream": {
                "Arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/there"}},
            Settings={"FaceSearch": {"CollectionId": "people"}},
            RoleArn=ROLE,
        )  # fmt: skip
        yield daemon


def key_of(daemon: Policed, name: str, *streams: str) -> NewKey:
    """A new key with the policy of a preset."""
    return daemon.key(*json.loads(preset(name, streams))["Statement"])


def signed(
    daemon: Policed, key: NewKey, path: str, *, region: str = REGION, service: str = "rekognition"
) -> dict[str, str]:
    request = AWSRequest("GET", daemon.url + path)
    SigV4Auth(Credentials(key.id, key.secret), service, region).add_auth(request)
    return dict(request.headers)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def refusal(
    session: aiohttp.ClientSession, url: str, headers: Any = None, **options: Any
) -> tuple[int, str, str]:
    """Status, code and words of an answer that is one."""
    async with session.get(url, headers=headers, **options) as answer:
        assert answer.content_type == "application/json", answer
        said = await answer.json()
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, said["__type"], said["message"]


@pytest.mark.parametrize("path", [EVENTS, VIEW])
async def test_nothing_is_seen_without_a_signature(
    policed: Policed, session: aiohttp.ClientSession, path: str
) -> None:
    status, code, _ = await refusal(session, policed.url + path)
    assert (status, code) == (403, "MissingAuthenticationTokenException")


async def test_files_are_for_everybody(policed: Policed, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{policed.url}/console/") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["admin", "operator", "watcher"])
async def test_who_may_watch_sees_everything(
    policed: Policed, session: aiohttp.ClientSession, name: str
) -> None:
    key = key_of(policed, name)
    async with listening(session, policed.url + EVENTS, signed(policed, key, EVENTS)) as stream:
        assert (await stream.next("hello")).data["Denied"] == {}
        assert (await stream.next("processors")).data["Processors"][0]["Name"] == "there"
    async with listening(session, policed.url + VIEW, signed(policed, key, VIEW)):
        pass


async def test_a_viewer_sees_how_things_are_and_nobody(
    policed: Policed, session: aiohttp.ClientSession
) -> None:
    key = key_of(policed, "viewer")
    async with listening(session, policed.url + EVENTS, signed(policed, key, EVENTS)) as stream:
        denied = (await stream.next("hello")).data["Denied"]
        assert "event" in denied
        assert denied.keys() <= {"event", "present"}
        assert all("rekognition:ListStreamprocEvents" in words for words in denied.values())
        assert (await stream.next("processors")).data["Processors"][0]["Name"] == "there"
    status, code, words = await refusal(session, policed.url + VIEW, signed(policed, key, VIEW))
    assert (status, code) == (403, "AccessDeniedException")
    assert "rekognition:GetStreamprocView" in words
    assert "streamprocessor/there" in words


@pytest.mark.parametrize("path", [EVENTS, VIEW, "/console/view?name=gone"])
async def test_a_camera_sees_nothing_nor_what_exists(
    policed: Policed, session: aiohttp.ClientSession, path: str
) -> None:
    key = key_of(policed, "camera", "there")
    status, code, _ = await refusal(session, policed.url + path, signed(policed, key, path))
    assert (status, code) == (403, "AccessDeniedException")


async def test_the_view_of_one_processor_can_be_allowed_alone(
    policed: Policed, session: aiohttp.ClientSession
) -> None:
    arn = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:streamprocessor/there"
    key = policed.key(
        {"Effect": "Allow", "Action": "rekognition:GetStreamprocView", "Resource": arn}
    )
    async with listening(session, policed.url + VIEW, signed(policed, key, VIEW)):
        pass
    for path in (EVENTS, "/console/view?name=other"):
        _, code, _ = await refusal(session, policed.url + path, signed(policed, key, path))
        assert code == "AccessDeniedException"


async def test_a_signature_is_of_this_request(
    policed: Policed, session: aiohttp.ClientSession
) -> None:
    key = key_of(policed, "admin")
    for headers in (
        signed(policed, key, f"{EVENTS}?after=1"),
        signed(policed, key, EVENTS, service="kinesis"),
        signed(policed, NewKey(key.id, "x" * 40, key.token, key.expires_at), EVENTS),
    ):
        status, code, _ = await refusal(session, policed.url + EVENTS, headers)
        assert (status, code) == (403, "InvalidSignatureException")


async def test_the_region_is_that_of_the_signature(
    policed: Policed, session: aiohttp.ClientSession
) -> None:
    key = key_of(policed, "watcher")
    headers = signed(policed, key, EVENTS, region="eu-central-1")
    async with listening(session, policed.url + EVENTS, headers) as stream:
        assert (await stream.next("hello")).data["Region"] == "eu-central-1"
        assert (await stream.next("processors")).data["Processors"] == []


async def test_a_stream_ends_when_its_key_is_revoked(
    policed: Policed, session: aiohttp.ClientSession
) -> None:
    key = key_of(policed, "watcher")
    async with listening(session, policed.url + EVENTS, signed(policed, key, EVENTS)) as stream:
        await stream.next("hello")
        policed.revoke(key)
        await stream.rest()
    _, code, _ = await refusal(session, policed.url + EVENTS, signed(policed, key, EVENTS))
    assert code == "UnrecognizedClientException"


# --- where they are not -------------------------------------------------------------------


@pytest.mark.parametrize("path", [EVENTS, "/console/view?name=door"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:4600"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "192.168.1.5"},
        {"Host": "["},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_pages_of_others_see_nothing(
    serve: Serve, session: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    status, code, words = await refusal(session, await serve() + path, headers)
    assert (status, code) == (403, "AccessDeniedException")
    assert "auth.required" in words
    assert "server.public_url" in words


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:4600"},
        {"Host": "LOCALHOST"},
        {"Host": "127.0.0.2"},
        {"Host": "[::1]:4600"},
        {"Host": "cams.example"},
        {"Origin": "https://cams.example"},
        {"Origin": "http://localhost:4600", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_this_machine_and_its_public_name_see_everything(
    serve: Serve, session: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with listening(session, await serve() + EVENTS, headers) as stream:
        await stream.next("hello")


async def test_a_body_is_not_taken(serve: Serve, session: aiohttp.ClientSession) -> None:
    _, code, words = await refusal(session, await serve() + EVENTS, data=b"x")
    assert code == "MalformedHttpRequestException"
    assert "takes no body" in words


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("https://cams.example", True),
        ("http://localhost:4600", True),
        ("https://evil.example", False),
        ("https://cams.example.evil.example", False),
        ("null", False),
    ],
)
async def test_pages_of_the_public_name_may_call_operations(origin: str, is_ours: bool) -> None:
    door = OpenDoor("https://cams.example/streamproc")
    head = RequestHead("POST", "/", "", [("Host", "any.example"), ("Origin", origin)])
    if is_ours:
        await door.admit(head, "rekognition", streams=False)
    else:
        with pytest.raises(AccessDenied, match="may not call while nobody is asked for a key"):
            await door.admit(head, "rekognition", streams=False)
