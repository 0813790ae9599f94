"""Video that is not what it should be: said in words, and the next camera runs all the same.

Every film is made on the spot and sent by a producer that checks nothing.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from streamproc.cli.demo_video import EILEEN
from tests.conftest import wait_until
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.end_to_end.films import FRAGMENT, film, joined, plain, put_media, sound

SAMPLED = 4  # of a film's eight pictures, five a second
START_S = "1700000000"  # a whole second: sampling slots begin with the film
CLUSTER = b"\x1f\x43\xb6\x75"
GARBAGE = np.random.default_rng(7).bytes(5000)


@pytest.fixture(scope="module")
def rig(start_shared_daemon: Any) -> Rig:
    daemon = start_shared_daemon(*EVERY_FRAME)
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    watch(rig, "healthy")
    return rig


@pytest.fixture(autouse=True)
def the_next_camera_runs(rig: Rig) -> Iterator[None]:
    """Whatever a test did: no traceback in the log, and a healthy camera gives its records."""
    told, recorded = len(rig.daemon.log), len(rig.records("healthy"))
    yield
    push_whole(rig, "healthy", film(plain(FRAGMENT)))
    records(rig, "healthy", recorded + SAMPLED // 2)
    assert rig.status("healthy") == "RUNNING"
    assert "Traceback" not in rig.daemon.log[told:], rig.daemon.log[told:]


def watch(rig: Rig, name: str) -> None:
    """Make a stream of this name and start a processor on it."""
    rig.create(*rig.streams(name), name=name)
    rig.rekognition.start_stream_processor(Name=name)


def push(rig: Rig, name: str, body: bytes, **options: Any) -> list[dict[str, Any]]:
    """The acknowledgements of a session that sends this body."""
    status, acks = put_media(
        rig.daemon.url, name, body, x_amzn_producer_start_timestamp=START_S, **options
    )
    assert status == 200, acks
    return acks


def push_whole(rig: Rig, name: str, body: bytes) -> list[str]:
    """The same, where nothing is wrong with it; the numbers of its fragments."""
    acks = push(rig, name, body)
    assert {ack["EventType"] for ack in acks} == {"BUFFERING", "RECEIVED", "PERSISTED"}, acks
    return [ack["FragmentNumber"] for ack in acks if ack["EventType"] == "PERSISTED"]


def records(rig: Rig, name: str, count: int) -> list[dict[str, Any]]:
    """The stream's records, exactly this many."""
    wait_until(lambda: len(rig.records(name)) >= count, 20.0,
               lambda: rig.rekognition.describe_stream_processor(Name=name))  # fmt: skip
    found = rig.records(name)
    assert len(found) == count
    return found


def numbers(found: list[dict[str, Any]]) -> list[str]:
    """Fragment numbers, each once, in the order of the records."""
    return list(
        dict.fromkeys(
            record["InputInformation"]["KinesisVideo"]["FragmentNumber"] for record in found
        )
    )


# --- streams that are not there, or silent ---------------------------------------------------


def test_a_stream_that_was_made_anew_is_another_one(rig: Rig) -> None:
    """An ARN ends in the time of creation; the name alone is not enough."""
    video, data = rig.streams("anew")
    rig.create(video + "0", data, name="anew")
    rig.rekognition.start_stream_processor(Name="anew")
    assert rig.await_status("FAILED", "anew")["StatusMessage"] == "Stream anew doesn't exist"


def test_an_empty_stream_is_waited_for_and_can_be_stopped(rig: Rig) -> None:
    watch(rig, "empty")
    assert "StatusMessage" not in rig.await_status("RUNNING", "empty")
    rig.rekognition.stop_stream_processor(Name="empty")
    rig.await_status("STOPPED", "empty")
    rig.start("empty")
    push_whole(rig, "empty", film())
    records(rig, "empty", SAMPLED)


def test_a_stream_deleted_under_its_processor_fails_it_with_the_cause(rig: Rig) -> None:
    watch(rig, "deleted")
    push_whole(rig, "deleted", film())
    records(rig, "deleted", SAMPLED)
    arn = rig.kinesisvideo.describe_stream(StreamName="deleted")["StreamInfo"]["StreamARN"]
    rig.kinesisvideo.delete_stream(StreamARN=arn)
    described = rig.await_status("FAILED", "deleted")
    assert described["StatusMessage"] == "Stream deleted doesn't exist"


# --- media of the wrong kind -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("sound", sound, "the stream carries no video track, only A_AAC audio"),
        ("vp9", lambda: film(encoder="libvpx-vp9"), "video codec V_VP9 is not supported; "
         "streamproc reads H.264 and H.265"),
        ("mpeg4", lambda: film(encoder="mpeg4"), "video codec V_MPEG4/ISO/ASP is not supported; "
         "streamproc reads H.264 and H.265"),
    ],
)  # fmt: skip
def test_media_that_we_do_not_read_fails_the_processor_with_its_name(
    rig: Rig, name: str, make: Callable[[], bytes], told: str
) -> None:
    watch(rig, name)
    push_whole(rig, name, make())
    assert rig.await_status("FAILED", name)["StatusMessage"] == told
    rig.rekognition.delete_stream_processor(Name=name)


def test_a_change_of_resolution_goes_on(rig: Rig) -> None:
    """In the next session, and in the middle of one: faces stay where they are."""
    small, large = (portrait_film(size) for size in ((240, 180), (480, 360)))
    watch(rig, "resolution")
    for body in (small, large, joined(small, large)):
        push_whole(rig, "resolution", body)
    boxes = [
        [face["DetectedFace"]["BoundingBox"] for face in record["FaceSearchResponse"]]
        for record in records(rig, "resolution", 4 * SAMPLED)
    ]
    assert [len(found) for found in boxes] == [1] * 4 * SAMPLED
    for side in ("Left", "Top", "Width", "Height"):
        values = [found[0][side] for found in boxes]
        assert max(values) - min(values) < 0.1


def portrait_film(size: tuple[int, int]) -> bytes:
    picture = cv2.resize(cv2.copyMakeBorder(EILEEN.portrait(), 25, 25, 75, 75, 0), size)
    return film([picture.astype(np.uint8)] * 2 * FRAGMENT, parameters_in_band=True)


def test_media_without_any_tags_is_read_like_any_other(rig: Rig) -> None:
    watch(rig, "untagged")
    stored = push_whole(rig, "untagged", joined(film()))
    assert numbers(records(rig, "untagged", SAMPLED)) == stored


# --- media that is cut or broken -------------------------------------------------------------


def test_a_body_that_ends_in_the_middle_of_a_fragment_loses_only_that(rig: Rig) -> None:
    watch(rig, "cut")
    half = film()[: film().rindex(CLUSTER) + 400]
    lost = push(rig, "cut", half, cut_after="PERSISTED")
    ended = push(rig, "cut", half)  # said to be whole: the producer hears that it is not
    assert ended[-1]["ErrorCode"] == "INVALID_MKV_DATA"
    stored = [ack["FragmentNumber"] for ack in lost + ended if ack["EventType"] == "PERSISTED"]
    stored += push_whole(rig, "cut", film())
    assert len(stored) == 4
    assert_all_read(rig, "cut", stored)


def assert_all_read(rig: Rig, name: str, stored: list[str]) -> None:
    """Two records of each fragment. Of live video there may be records besides, of the
    beginning of a fragment whose end never came."""

    def read() -> list[int]:
        numbers = [
            record["InputInformation"]["KinesisVideo"]["FragmentNumber"]
            for record in rig.records(name)
        ]
        return [numbers.count(number) for number in stored]

    wait_until(lambda: min(read()) == SAMPLED // 2, 20.0, read)
    assert set(read()) == {SAMPLED // 2}
    assert rig.status(name) == "RUNNING"


def broken(what: str) -> bytes:
    """A film whose second Cluster is broken in this way."""
    body = film()
    at = body.rindex(CLUSTER)
    size_at = at + len(CLUSTER)
    block_at = body.index(b"\xa3", at)
    damages = {
        "a Cluster that is longer than the body": (size_at, b"\x01\x00\x00\x00\x7f\xff\xff\xff"),
        "a Cluster shorter than its blocks": (size_at, body[size_at : size_at + 1] + b"\x00" * 6),
        "a block that is longer than its Cluster": (block_at + 1, b"\x0f\xff\xff"),
        "a length that no integer begins with": (block_at + 1, b"\x00"),
        "noise": (at, GARBAGE),
    }
    start, data = damages[what]
    return body[:start] + data + body[start + len(data) :]


@pytest.mark.parametrize(
    "what",
    [
        "a Cluster that is longer than the body",
        "a Cluster shorter than its blocks",
        "a block that is longer than its Cluster",
        "a length that no integer begins with",
        "noise",
    ],
)
def test_broken_lengths_are_refused_and_what_was_whole_is_kept(rig: Rig, what: str) -> None:
    name = re.sub(r"\W", "-", what)
    watch(rig, name)
    acks = push(rig, name, broken(what))
    assert acks[-1]["EventType"] == "ERROR"
    assert (acks[-1]["ErrorId"], acks[-1]["ErrorCode"]) == (4006, "INVALID_MKV_DATA")
    stored = [ack["FragmentNumber"] for ack in acks if ack["EventType"] == "PERSISTED"]
    assert len(stored) == 1
    assert_all_read(rig, name, stored + push_whole(rig, name, film()))


@pytest.mark.parametrize(
    "body", [b"", GARBAGE, b"<html>not a camera</html>", film()[:3], film()[:300]],
    ids=["nothing", "noise", "html", "three bytes", "half a header"],
)  # fmt: skip
def test_what_is_no_matroska_is_refused_and_nothing_is_stored(rig: Rig, body: bytes) -> None:
    name = f"no-media-{len(body)}"
    rig.kinesisvideo.create_stream(StreamName=name, DataRetentionInHours=1)
    acks = push(rig, name, body)
    assert [ack.get("ErrorCode") for ack in acks] == (["INVALID_MKV_DATA"] if body else [])
    archive = rig.daemon.client("kinesis-video-archived-media")
    assert archive.list_fragments(StreamName=name)["Fragments"] == []


def test_pictures_that_cannot_be_decoded_are_passed_over(rig: Rig) -> None:
    """The container is in order, the H.264 in it is noise behind each NAL unit's header."""

    def spoil(payload: bytes) -> bytes:
        return payload[:5] + GARBAGE[: len(payload) - 5]

    watch(rig, "noise-inside")
    push_whole(rig, "noise-inside", joined(film(), spoil=spoil))
    assert_all_read(rig, "noise-inside", push_whole(rig, "noise-inside", film()))


@pytest.mark.parametrize(
    ("headers", "status", "code", "word"),
    [
        ({"x_amzn_stream_name": "nowhere"}, 404, "ResourceNotFoundException", "nowhere"),
        ({"x_amzn_stream_name": "not a name"}, 400, "InvalidArgumentException", "StreamName"),
        ({"x_amzn_fragment_timecode_type": "ROUGH"}, 400, "InvalidArgumentException", "ROUGH"),
        ({"x_amzn_producer_start_timestamp": "soon"}, 400, "SerializationException", "soon"),
        ({"x_amzn_producer_start_timestamp": "-5"}, 400, "InvalidArgumentException", "-5"),
    ],
)  # fmt: skip
def test_put_media_with_wrong_headers_is_refused_before_the_body(
    rig: Rig, headers: dict[str, str], status: int, code: str, word: str
) -> None:
    answered, [error] = put_media(rig.daemon.url, "healthy", b"", **headers)
    assert (answered, error["__type"]) == (status, code)
    assert word in error["Message"]
