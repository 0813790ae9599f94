"""A Kinesis Video, a Kinesis Data or an S3 that answers wrongly: told, waited out, never stuck."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from botocore.exceptions import ClientError

from tests.conftest import wait_until
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.end_to_end.films import FRAGMENT, documents, film, plain, put_media

Answer: TypeAlias = Callable[[], web.Response]
SAMPLED = 2  # of a fragment's pictures
PAGE = b"<html><body>Please log in.</body></html>"
GOOD = documents(film(plain(4 * FRAGMENT)))


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
        self.silent: set[str] = set()
        self.endpoint: dict[str, Answer] = {}  # else this service itself
        self.media: dict[str, list[bytes] | Answer] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/getDataEndpoint", self._get_data_endpoint)
        app.router.add_post("/getMedia", self._get_media)
        return app

    async def _get_data_endpoint(self, request: web.Request) -> web.StreamResponse:
        name = await _stream(request)
        if name in self.silent:
            await asyncio.sleep(60)
        answer = self.endpoint.get(name)
        return answer() if answer else web.json_response({"DataEndpoint": self.url})

    async def _get_media(self, request: web.Request) -> web.StreamResponse:
        media = self.media[await _stream(request)]
        if callable(media):
            return media()
        selector = (await request.json())["StartSelector"]
        is_live = selector["StartSelectorType"] == "NOW"
        begin = len(media) - 1 if is_live else int(selector.get("AfterFragmentNumber", 0))
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        await response.prepare(request)
        for document in media[begin:]:
            await response.write(document)
        await asyncio.sleep(60)
        return response


async def _stream(request: web.Request) -> str:
    return str((await request.json())["StreamARN"].split("/")[1])


def page(status: int = 200) -> Answer:
    return lambda: web.Response(status=status, body=PAGE, content_type="text/html")


def error(status: int, code: str) -> Answer:
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
        "--set", "aws.read_timeout_s=1",
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
        record["InputInformation"]["KinesisVideo"]["FragmentNumber"] for record in rig.records(name)
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
    service.media[name] = [GOOD[0], with_damage(GOOD[1], what), *GOOD[2:]]
    watch(rig, name)

    def described() -> Any:
        return rig.rekognition.describe_stream_processor(Name=name)

    wait_until(lambda: numbers(rig, name).count("4") == SAMPLED, 10.0, described)
    # Where the damage hides the fragment's number there is nothing to go on behind but live.
    assert numbers(rig, name).count("3") == (0 if what == "a number that is none" else SAMPLED)
    assert numbers(rig, name).count("1") == SAMPLED
    assert described()["Status"] == "RUNNING"
    assert "StatusMessage" not in described()


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
        ("control-page", page(), None, "DataEndpoint"),
        ("control-502", page(502), None, "502"),
        ("control-busy", error(400, "ClientLimitExceededException"), None, "ClientLimitExceeded"),
        ("control-empty", lambda: web.json_response({}), None, "DataEndpoint"),
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

    rig.await_status("RUNNING", name)
    wait_until(lambda: told in described().get("StatusMessage", ""), 10.0, described)
    service.endpoint.pop(name, None)
    service.media[name] = GOOD
    wait_until(lambda: len(numbers(rig, name)) == 4 * SAMPLED, 10.0, described)
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


def test_a_service_that_never_answers_keeps_no_processor_starting(
    rig: Rig, service: KinesisVideo
) -> None:
    service.silent.add("silence")
    watch(rig, "silence")
    assert rig.status("silence") == "STARTING"
    told = rig.await_status("RUNNING", "silence")["StatusMessage"]
    assert "Read timeout" in told
    assert "trying again" in told
    rig.rekognition.stop_stream_processor(Name="silence")
    rig.await_status("STOPPED", "silence")


@pytest.mark.parametrize(
    ("status", "told"),
    [(503, "(503); trying again"), (200, "0 results for 1 records")],
)
def test_records_wait_for_a_data_stream_that_answers_with_pages(
    start_daemon: Any, serve_in_thread: Any, status: int, told: str
) -> None:
    """Nothing else may be lost meanwhile either: a picture in S3 is an error like any other."""

    async def log_in(request: web.Request) -> web.Response:
        return web.Response(status=status, body=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", log_in)
    with serve_in_thread(app) as url:
        daemon = start_daemon(
            *EVERY_FRAME, "--set", f"endpoints.kinesis={url}", "--set", f"endpoints.s3={url}",
            "--set", "processors.stop_timeout_s=0.2",
        )  # fmt: skip
        rig = Rig(daemon, wait_until)
        rig.rekognition.create_collection(CollectionId="people")
        video = rig.kinesisvideo.create_stream(StreamName="cam", DataRetentionInHours=1)
        rig.create(video["StreamARN"], "arn:aws:kinesis:us-east-1:000000000000:stream/cam")
        rig.start()
        put_media(daemon.url, "cam", film())

        def message() -> str:
            return str(rig.rekognition.describe_stream_processor(Name="cam").get("StatusMessage"))

        wait_until(lambda: told in message(), 10.0, message)
        assert rig.status() == "RUNNING"
        picture = {"S3Object": {"Bucket": "photos", "Name": "ann.png"}}
        with pytest.raises(ClientError, match=r"InvalidS3Object|InvalidImageFormat"):
            rig.rekognition.detect_faces(Image=picture)
        rig.rekognition.stop_stream_processor(Name="cam")
        rig.await_status("STOPPED")
        assert "records not delivered" in message()
    assert "Traceback" not in daemon.log
