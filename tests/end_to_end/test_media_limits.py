"""The limits of [media], in a daemon that has low ones: what is above them is refused in words."""

from pathlib import Path
from typing import Any

import pytest

from streamproc.mkv.ebml import Id, element
from tests.conftest import wait_until
from tests.decode.parameter_sets import h264_key_packet, h264_set
from tests.end_to_end.conftest import EVERY_FRAME, Rig
from tests.end_to_end.films import film, joined, plain, put_media

PIXELS_MAX = 160 * 128  # FFmpeg codes 160x120 so
LOW = (
    "picture_pixels_max=20480",
    "element_bytes_max=65536",
    "element_depth_max=4",
)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bucket")


@pytest.fixture(scope="module")
def rig(start_shared_daemon: Any, bucket: Path) -> Rig:
    options = [option for setting in LOW for option in ("--set", f"media.{setting}")]
    daemon = start_shared_daemon(*EVERY_FRAME, *options, "--set", f'buckets.clips="{bucket}"')
    rig = Rig(daemon, wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    return rig


def watched(rig: Rig, name: str, body: bytes) -> list[dict[str, Any]]:
    """Push this to a stream that a processor reads; the acknowledgements."""
    rig.create(*rig.streams(name), name=name)
    rig.start(name)
    status, acks = put_media(rig.daemon.url, name, body)
    assert status == 200
    return acks


def test_pictures_within_the_limit_are_analysed(rig: Rig) -> None:
    watched(rig, "small", film())
    wait_until(lambda: rig.records("small"), 60.0)
    assert rig.status("small") == "RUNNING"


@pytest.mark.parametrize("kind", ["larger", "cropped"])
def test_a_live_picture_above_the_limit_fails_its_processor_in_words(rig: Rig, kind: str) -> None:
    body = film(plain(size=(176, 128)))
    if kind == "cropped":  # sixteen thousand pixels coded, a thousand shown
        large = h264_key_packet(h264_set(16_000, 16_000, (32, 32)))
        body = joined(film(), spoil=lambda _: large)
    watched(rig, kind, body)
    size = "176x128" if kind == "larger" else "16000x16000"
    assert rig.await_status("FAILED", kind)["StatusMessage"] == (
        f"the stream's pictures have {size} pixels; at most {PIXELS_MAX} are decoded "
        "(media.picture_pixels_max)"
    )


def job(rig: Rig, name: str) -> dict[str, Any]:
    video = {"S3Object": {"Bucket": "clips", "Name": name}}
    job_id = rig.rekognition.start_face_detection(Video=video)["JobId"]

    def ended() -> Any:
        answer = rig.rekognition.get_face_detection(JobId=job_id)
        return answer if answer["JobStatus"] != "IN_PROGRESS" else None

    return dict(wait_until(ended, 60.0))


def test_a_stored_picture_above_the_limit_fails_its_job_in_words(rig: Rig, bucket: Path) -> None:
    (bucket / "small.mkv").write_bytes(film())
    (bucket / "larger.mkv").write_bytes(film(plain(size=(176, 128))))
    assert job(rig, "small.mkv")["JobStatus"] == "SUCCEEDED"
    refused = job(rig, "larger.mkv")
    assert refused["JobStatus"] == "FAILED"
    assert refused["StatusMessage"] == (
        "s3://clips/larger.mkv cannot be decoded: its pictures have 176x128 pixels; at most "
        f"{PIXELS_MAX} are decoded (media.picture_pixels_max)"
    )


def test_elements_above_the_limits_end_a_producers_session(rig: Rig) -> None:
    rig.streams("elements")
    nest = element(Id.SIMPLE_TAG, element(Id.SIMPLE_TAG, element(Id.TAG_NAME, b"deep")))
    too_deep = joined(film()) + element(Id.TAGS, element(Id.TAG, nest))
    too_large = joined(film()) + element(Id.TAGS, bytes(70_000))
    for body in (too_deep, too_large):
        _, acks = put_media(rig.daemon.url, "elements", body)
        assert acks[-1]["EventType"] == "ERROR"
        assert acks[-1]["ErrorCode"] == "INVALID_MKV_DATA"
    assert "element_depth_max 4 is the most" in rig.daemon.log
    assert "above element_bytes_max 65536" in rig.daemon.log
