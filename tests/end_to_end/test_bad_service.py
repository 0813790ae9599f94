"""A Kinesis Video, a Kinesis Data or an S3 that answers wrongly: told, waited out, never stuck."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import wait_until
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.end_to_end.films import FPS, documents, film, plain

SAMPLED = 5  # of a fragment's second
PAGE = b"<html><body>Please log in.</body></html>"
GOOD = documents(film(plain(3 * FPS)))


def with_damage(document: bytes, what: str) -> bytes:
    block_at = document.index(b"\xa3", document.index(b"\x1f\x43\xb6\x75"))
    if what == "a length that no integer begins with":
        return document[: block_at + 1] + b"\x00" + document[block_at + 2 :]
    if what == "a block longer than any may be":
        return document[: block_at + 1] + b"\x08\x7f\xff\xff\xff" + document[block_at + 2 :]
    if what == "a block that swallows the next documents":
        return document[: block_at + 1] + b"\x08\x00\x00\x08\x00" + document[block_at + 2 :]
    if what == "a number that is none":
        at = document.index(b"\x44\x87")
        return document[: at + 6] + b"x" + document[at + 7 :]
    assert what == "the end of it missing"
    return document[: block_at + 100]


class KinesisVideo:
    """What this service answers depends on the name of the stream."""

    def __init__(self) -> None:
        self.url = ""
        self.endpoint: dict[str, web.Response | Callable[[], web.Response]] = {}
        self.media: dict[str, list[bytes] | Callable[[], web.Response]] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/getDataEndpoint", self._get_data_endpoint)
        app.router.add_post("/getMedia", self._get_media)
        return app

    async def _get_data_endpoint(self, request: web.Request) -> web.StreamResponse:
        answer = self.endpoint.get(await _stream(request))
        if callable(answer):
            return answer()
        return answer or web.json_response({"DataEndpoint": self.url})

    async def _get_media(self, request: web.Request) -> web.StreamResponse:
        media = self.media[await _stream(request)]
        if callable(media):
            return media()
        selector = (await request.json())["StartSelector"]
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        await response.prepare(request)
        for document in media[int(selector.get("AfterFragmentNumber", 0)) :]:
            await response.write(document)
        await asyncio.sleep(60)
        return response


async def _stream(request: web.Request) -> str:
    return str((await request.json())["StreamARN"].split("/")[1])


def page(status: int = 200) -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, body=PAGE, content_type="text/html")


def error(status: int, code: str) -> Callable[[], web.Response]:
    return lambda: web.json_response(
        {"message": "so it is"}, status=status, headers={"x-amzn-ErrorType": code}
    )


@pytest.fixture(scope="module")
def service(serve_in_thread: Any) -> Iterator[KinesisVideo]:
    service = KinesisVideo()
    with serve_in_thread(service.app()) as service.url:
        yield service


@pytest.fixture(scope="module")
def rig(start_shared_daemon: Any, service: KinesisVideo) -> Rig:
    daemon = start_shared_daemon(
        *EVERY_FRAME, "--set", f"endpoints.kinesisvideo={service.url}",
        "--set", "aws.read_timeout_s=2",
    )  # fmt: skip
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    return rig


@pytest.fixture(autouse=True)
def the_log_explains(rig: Rig) -> Iterator[None]:
    told = len(rig.daemon.log)
    yield
    assert "Traceback" not in rig.daemon.log[told:], rig.daemon.log[told:]


def watch(rig: Rig, name: str) -> None:
    rig.kinesis.create_stream(StreamName=name, ShardCount=1)
    data = rig.kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    video = f"arn:aws:kinesisvideo:us-east-1:000000000000:stream/{name}/1700000000000"
    rig.create(video, data["StreamARN"], name=name)
    rig.rekognition.start_stream_processor(Name=name)


def numbers(rig: Rig, name: str) -> list[str]:
    """The fragment number of every record."""
    return [
        record["InputInformation"]["KinesisVideo"]["FragmentNumber"]
        for record in rig.records(name)
    ]


DAMAGES = [
    "a length that no integer begins with",
    "a block longer than any may be",
    "a block that swallows the next documents",
    "a number that is none",
    "the end of it missing",
]


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_fragment_is_read_again_and_then_left_behind(
    rig: Rig, service: KinesisVideo, what: str
) -> None:
    name = f"damage-{DAMAGES.index(what)}"
    service.media[name] = [GOOD[0], with_damage(GOOD[1], what), GOOD[2]]
    watch(rig, name)
    wait_until(
        lambda: numbers(rig, name).count("3") == SAMPLED, 30.0,
        lambda: (numbers(rig, name), rig.rekognition.describe_stream_processor(Name=name)),
    )  # fmt: skip
    assert numbers(rig, name).count("1") == SAMPLED
    assert rig.status(name) == "RUNNING"


def test_media_without_the_services_tags_is_analysed_all_the_same(
    rig: Rig, service: KinesisVideo
) -> None:
    service.media["untagged"] = documents(film(), tags=False)
    watch(rig, "untagged")
    wait_until(lambda: len(numbers(rig, "untagged")) >= 2 * SAMPLED)
    assert rig.status("untagged") == "RUNNING"


@pytest.mark.parametrize(
    ("name", "endpoint", "media", "told"),
    [
        ("media-page", None, page(), "damaged"),
        ("media-500", None, error(500, "InternalFailure"), "InternalFailure"),
        ("media-502", None, page(502), "502"),
        ("control-page", page(), None, "not"),
        ("control-502", page(502), None, "502"),
        ("control-busy", error(400, "ClientLimitExceededException"), None, "ClientLimitExceeded"),
        ("control-empty", lambda: web.json_response({}), None, "DataEndpoint"),
        ("control-list", lambda: web.json_response([]), None, "DataEndpoint"),
        ("control-nonsense", lambda: web.json_response({"DataEndpoint": "over there"}), None,
         "over there"),
        ("media-elsewhere", lambda: web.json_response({"DataEndpoint": "http://127.0.0.1:9"}),
         None, "127.0.0.1:9"),
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_told_and_asked_for_again(
    rig: Rig, service: KinesisVideo, name: str, endpoint: Any, media: Any, told: str
) -> None:
    if endpoint is not None:
        service.endpoint[name] = endpoint
    service.media[name] = media or GOOD
    watch(rig, name)

    def described() -> Any:
        return rig.rekognition.describe_stream_processor(Name=name)

    wait_until(lambda: told in described().get("StatusMessage", ""), 10.0, described)
    assert rig.status(name) == "RUNNING", described()
    service.endpoint.pop(name, None)
    service.media[name] = GOOD
    wait_until(lambda: len(numbers(rig, name)) == 3 * SAMPLED, 30.0, described)
    assert "StatusMessage" not in described()


@pytest.mark.parametrize(
    ("name", "endpoint", "media", "told"),
    [
        ("denied", error(401, "NotAuthorizedException"), None, "Access denied to Kinesis Video"),
        ("denied-media", None, error(403, "AccessDeniedException"),
         "Access denied to Kinesis Video"),
        ("gone", error(404, "ResourceNotFoundException"), None, "Stream gone doesn't exist"),
        ("gone-media", None, error(404, "ResourceNotFoundException"),
         "Stream gone-media doesn't exist"),
    ],
)  # fmt: skip
def test_what_a_person_has_to_mend_fails_the_processor(
    rig: Rig, service: KinesisVideo, name: str, endpoint: Any, media: Any, told: str
) -> None:
    if endpoint is not None:
        service.endpoint[name] = endpoint
    service.media[name] = media or GOOD
    watch(rig, name)
    assert rig.await_status("FAILED", name)["StatusMessage"] == told
