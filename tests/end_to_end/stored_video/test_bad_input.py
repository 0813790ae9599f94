"""What cannot be done is said, at Start or in StatusMessage, and the next job runs all the same."""

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from botocore.exceptions import ClientError

from streamproc.cli.demo_video import EILEEN
from tests.end_to_end.stored_video.conftest import (
    KINDS,
    OPERATION,
    HeldPeer,
    Peers,
    Studio,
    on_grey,
    render,
)

ROLE = "arn:aws:iam::123456789012:role/any"
TOPIC = "arn:aws:sns:us-east-1:123456789012:AmazonRekognition-jobs"


def plain(count: int = 20, width: int = 160, height: int = 120) -> list[Any]:
    return [np.full((height, width, 3), 40 + 4 * number, np.uint8) for number in range(count)]


def told(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    details = error.value.response["Error"]
    return details["Code"], details["Message"]


def silence() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    return buffer.getvalue()


@pytest.fixture
def eileen() -> Any:
    return on_grey(np.asarray(EILEEN.portrait()), 640, 480)


@pytest.mark.parametrize(
    ("name", "bucket", "words"),
    [
        ("missing.mp4", "clips", "s3://clips/missing.mp4"),
        ("missing.mp4", "nowhere", "buckets"),
        ("../outside.mp4", "clips", "s3://clips/../outside.mp4"),
        ("/etc/hostname", "clips", "s3://clips//etc/hostname"),
        ("folder", "clips", "s3://clips/folder"),
        ("link.mp4", "clips", "s3://clips/link.mp4"),
    ],
)
def test_an_object_that_cannot_be_had_is_refused_at_start(
    plain_studio: Studio, tmp_path: Path, name: str, bucket: str, words: str
) -> None:
    (plain_studio.folder.parent / "outside.mp4").write_bytes(b"secret")
    (plain_studio.folder / "folder").mkdir(exist_ok=True)
    link = plain_studio.folder / "link.mp4"
    if not link.is_symlink():
        link.symlink_to("../outside.mp4")
    for kind in ("FaceDetection", "LabelDetection"):
        with pytest.raises(ClientError) as error:
            plain_studio.start(kind, name, bucket)
        code, message = told(error)
        assert code == "InvalidS3ObjectException"
        assert words in message


def test_an_object_of_moto_s_s3_that_cannot_be_had_is_refused_at_start(
    peers_studio: Studio, peers: Peers
) -> None:
    studio = peers_studio
    s3 = peers.client("s3")
    s3.create_bucket(Bucket="films")
    s3.put_object(Bucket="films", Key="there.mp4", Body=b"x")
    for bucket, name in (("films", "not-there.mp4"), ("no-such-bucket", "there.mp4")):
        with pytest.raises(ClientError) as error:
            studio.start("FaceDetection", name, bucket)
        code, message = told(error)
        assert code == "InvalidS3ObjectException"
        assert f"s3://{bucket}/{name}" in message
    with pytest.raises(ClientError) as error:
        studio.rekognition.start_face_detection(
            Video={"S3Object": {"Bucket": "films", "Name": "there.mp4", "Version": "no-such"}}
        )
    assert told(error)[0] == "InvalidS3ObjectException"


def test_the_version_that_was_asked_for_is_the_one_that_is_read(
    peers_studio: Studio, peers: Peers, tmp_path: Path
) -> None:
    studio = peers_studio
    s3 = peers.client("s3")
    s3.create_bucket(Bucket="films")
    s3.put_bucket_versioning(Bucket="films", VersioningConfiguration={"Status": "Enabled"})
    versions = []
    for seconds in (1, 2):
        film = render(tmp_path / f"{seconds}.mp4", plain(10 * seconds))
        answer = s3.put_object(Bucket="films", Key="clip.mp4", Body=film.read_bytes())
        versions.append(answer["VersionId"])
    for version, duration_ms in zip(versions, (1000, 2000), strict=True):
        video = {"S3Object": {"Bucket": "films", "Name": "clip.mp4", "Version": version}}
        job_id = studio.rekognition.start_face_detection(Video=video)["JobId"]
        answer = studio.wait("FaceDetection", job_id)
        assert answer["VideoMetadata"]["DurationMillis"] == duration_ms
        assert answer["Video"] == video


def test_a_video_that_is_too_large_is_refused_with_both_figures(plain_studio: Studio) -> None:
    with (plain_studio.folder / "large.mp4").open("wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(ClientError) as error:
        plain_studio.start("ContentModeration", "large.mp4")
    code, message = told(error)
    assert code == "VideoTooLargeException"
    assert "in bytes: 10000001 is more than the maximum limit of: 10000000 bytes" in message


def _text(file: Path) -> None:
    file.write_text("this is no video\n" * 100)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _sound(file: Path) -> None:
    file.write_bytes(silence())


def _headless(file: Path) -> None:
    whole = render(file, plain()).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])  # the index, which is at the end, is gone


def _cut(file: Path) -> None:
    noise = np.random.default_rng(1)
    shown = [noise.integers(0, 255, (120, 160, 3), np.uint8) for _ in range(100)]
    whole = render(file.with_suffix(".mkv"), shown).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def _other_codec(file: Path) -> None:
    whole = render(file, plain()).read_bytes()
    assert whole.count(b"avc1") >= 1
    file.write_bytes(whole.replace(b"avc1", b"zzz1"))


def _no_frames(file: Path) -> None:
    whole = render(file.with_suffix(".mkv"), plain()).read_bytes()
    file.write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75")])  # up to the first Cluster


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_text, "not a video"),
        (_empty, "empty"),
        (_sound, "no video track"),
        (_headless, "without its index"),
        (_cut, "ends after"),
        (_other_codec, "zzz1"),
        (_no_frames, "no frames"),
    ],
)
def test_what_is_no_whole_video_fails_its_job_and_no_other(
    plain_studio: Studio, spoil: Callable[[Path], None], words: str
) -> None:
    name = f"{spoil.__name__}.mp4"
    spoil(plain_studio.folder / name)
    render(plain_studio.folder / "good.mp4", plain())
    job_id = plain_studio.start("FaceDetection", name)
    answer = plain_studio.wait("FaceDetection", job_id)
    assert answer["JobStatus"] == "FAILED"
    assert words in answer["StatusMessage"]
    assert f"s3://clips/{name}" in answer["StatusMessage"]
    assert str(plain_studio.folder) not in answer["StatusMessage"]
    assert answer["Faces"] == []
    assert plain_studio.run("FaceDetection", "good.mp4") == []


def test_pictures_of_any_size_rate_and_turn_are_looked_at(
    plain_studio: Studio, eileen: Any
) -> None:
    odd = [cv2.resize(eileen, (534, 400))[:399, :533] for _ in range(10)]
    with av.open(plain_studio.folder / "odd.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)  # libx264 wants even sizes of yuv420p
        stream.width, stream.height, stream.pix_fmt = 533, 399, "yuv420p"
        for picture in odd:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = plain_studio.run("FaceDetection", "odd.mp4")
    assert [item["Timestamp"] for item in found] == [0, 200, 400, 600, 800]


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("PersonTracking", "yolox_nano_coco"),
        ("LabelDetection", "yolox_nano_coco"),
        ("ContentModeration", "nsfw_mobilenet_v2"),
    ],
)
def test_without_its_model_a_job_fails_with_the_command_that_installs_it(
    plain_studio: Studio, kind: str, model: str
) -> None:
    render(plain_studio.folder / "good.mp4", plain())
    message = plain_studio.refused(kind, "good.mp4")
    assert f"streamproc models install {model}" in message


def test_without_celebrities_the_job_fails_with_what_to_do(plain_studio: Studio) -> None:
    render(plain_studio.folder / "good.mp4", plain())
    message = plain_studio.refused("CelebrityRecognition", "good.mp4")
    assert "streamproc collections apply" in message


def test_a_collection_that_is_not_there_is_refused_at_start(plain_studio: Studio) -> None:
    render(plain_studio.folder / "good.mp4", plain())
    with pytest.raises(ClientError) as error:
        plain_studio.start("FaceSearch", "good.mp4", CollectionId="nobody")
    assert told(error) == ("ResourceNotFoundException", "The collection id: nobody does not exist")


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_id_belongs_to_one_operation(plain_studio: Studio, kind: str) -> None:
    render(plain_studio.folder / "good.mp4", plain())
    other = "FaceDetection" if kind != "FaceDetection" else "PersonTracking"
    for job_id in ("0" * 64, plain_studio.start(other, "good.mp4")):
        with pytest.raises(ClientError) as error:
            plain_studio.get(kind, job_id)
        code, message = told(error)
        assert code == "ResourceNotFoundException"
        assert job_id in message


def test_a_token_of_another_job_sort_or_making_is_refused(
    plain_studio: Studio, eileen: Any
) -> None:
    render(plain_studio.folder / "eileen.mp4", [eileen] * 10)
    jobs = [plain_studio.start("FaceDetection", "eileen.mp4") for _ in range(2)]
    for job_id in jobs:
        plain_studio.wait("FaceDetection", job_id)
    token = plain_studio.get("FaceDetection", jobs[0], MaxResults=1)["NextToken"]
    assert plain_studio.get("FaceDetection", jobs[0], NextToken=token)["Faces"]
    for wrong in (token[:-2], "AAAA", "not base64 at all!"):
        with pytest.raises(ClientError) as error:
            plain_studio.get("FaceDetection", jobs[0], NextToken=wrong)
        assert told(error)[0] == "InvalidPaginationTokenException"
    with pytest.raises(ClientError) as error:
        plain_studio.get("FaceDetection", jobs[1], NextToken=token)
    assert told(error)[0] == "InvalidPaginationTokenException"

    plain_studio.rekognition.create_collection(CollectionId="empty")
    job_id = plain_studio.start("FaceSearch", "eileen.mp4", CollectionId="empty")
    plain_studio.wait("FaceSearch", job_id)
    token = plain_studio.get("FaceSearch", job_id, MaxResults=1, SortBy="INDEX")["NextToken"]
    assert plain_studio.get("FaceSearch", job_id, NextToken=token, SortBy="INDEX")["Persons"]
    with pytest.raises(ClientError) as error:
        plain_studio.get("FaceSearch", job_id, NextToken=token)
    assert told(error)[0] == "InvalidPaginationTokenException"


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"SNSTopicArn": TOPIC, "RoleArn": ROLE}, "endpoints.sns"),
        ({"SNSTopicArn": TOPIC.replace("sns", "sqs"), "RoleArn": ROLE}, "SNSTopicArn"),
        ({"SNSTopicArn": "jobs", "RoleArn": ROLE}, "SNSTopicArn"),
        ({"SNSTopicArn": TOPIC, "RoleArn": "me"}, "RoleArn"),
    ],
)
def test_a_topic_that_cannot_be_told_is_refused_at_start(
    plain_studio: Studio, channel: dict[str, str], words: str
) -> None:
    render(plain_studio.folder / "good.mp4", plain())
    with pytest.raises(ClientError) as error:
        plain_studio.start("FaceDetection", "good.mp4", NotificationChannel=channel)
    code, message = told(error)
    assert code == "InvalidParameterException"
    assert words in message


def test_a_topic_of_another_region_is_refused(peers_studio: Studio) -> None:
    studio = peers_studio
    render(studio.folder / "good.mp4", plain())
    elsewhere = {"SNSTopicArn": TOPIC.replace("us-east-1", "eu-west-1"), "RoleArn": ROLE}
    with pytest.raises(ClientError) as error:
        studio.start("FaceDetection", "good.mp4", NotificationChannel=elsewhere)
    code, message = told(error)
    assert code == "InvalidParameterException"
    assert "eu-west-1" in message


def test_members_that_are_missing_are_named(plain_studio: Studio) -> None:
    for video, member in (
        ({}, "Video.S3Object.Bucket"),
        ({"S3Object": {"Bucket": "clips"}}, "Video.S3Object.Name"),
    ):
        for operation in OPERATION.values():
            collection = {"CollectionId": "empty"} if operation == "face_search" else {}
            with pytest.raises(ClientError) as error:
                getattr(plain_studio.rekognition, f"start_{operation}")(Video=video, **collection)
            code, message = told(error)
            assert code == "InvalidParameterException"
            assert member in message


def test_the_same_token_is_the_same_job_and_never_another(plain_studio: Studio) -> None:
    render(plain_studio.folder / "good.mp4", plain())
    render(plain_studio.folder / "other.mp4", plain())
    first = plain_studio.start("FaceDetection", "good.mp4", ClientRequestToken="once")
    assert plain_studio.start("FaceDetection", "good.mp4", ClientRequestToken="once") == first
    with pytest.raises(ClientError) as error:
        plain_studio.start("FaceDetection", "other.mp4", ClientRequestToken="once")
    code, message = told(error)
    assert code == "IdempotentParameterMismatchException"
    assert "once" in message
    # A token is one operation's.
    assert plain_studio.start("LabelDetection", "good.mp4", ClientRequestToken="once") != first
    # Even when what it names has gone.
    plain_studio.rekognition.create_collection(CollectionId="gone")
    search = {"CollectionId": "gone", "ClientRequestToken": "once"}
    second = plain_studio.start("FaceSearch", "good.mp4", **search)
    plain_studio.wait("FaceDetection", first)
    plain_studio.wait("FaceSearch", second)
    (plain_studio.folder / "good.mp4").unlink()
    plain_studio.rekognition.delete_collection(CollectionId="gone")
    assert plain_studio.start("FaceDetection", "good.mp4", ClientRequestToken="once") == first
    assert plain_studio.start("FaceSearch", "good.mp4", **search) == second


def test_more_jobs_than_may_be_open_are_refused(
    open_studio: Callable[..., Studio], held_peer: HeldPeer
) -> None:
    studio = open_studio("--set", f"endpoints.s3={held_peer.url}", "--set", "jobs.open_max=2")
    jobs = [studio.start("FaceDetection", "grey.mp4", "films") for _ in range(2)]
    with pytest.raises(ClientError) as error:
        studio.start("FaceDetection", "grey.mp4", "films")
    code, message = told(error)
    assert code == "LimitExceededException"
    assert "2 open Jobs for User arn:aws:iam::000000000000:root Maximum limit: 2" in message
    held_peer.release()
    for job_id in jobs:
        assert studio.wait("FaceDetection", job_id)["JobStatus"] == "SUCCEEDED"
    assert studio.start("FaceDetection", "grey.mp4", "films")
