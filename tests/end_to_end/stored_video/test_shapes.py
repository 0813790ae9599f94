"""Every operation through boto3, against botocore's own model of what it answers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StringShape, StructureShape

from tests.end_to_end.stored_video.conftest import KINDS, LISTS, OPERATION, Peers, Studio, slideshow

pytestmark = pytest.mark.testdata

MODEL = botocore.session.get_session().get_service_model("rekognition")
ROLE = "arn:aws:iam::123456789012:role/any"
EXTRA: dict[str, dict[str, Any]] = {
    "FaceDetection": {"FaceAttributes": "ALL"},
    "LabelDetection": {"MinConfidence": 40.0, "Features": ["GENERAL_LABELS"]},
    "ContentModeration": {"MinConfidence": 0.0},
}


def check(shape: Shape, value: Any, path: str) -> None:
    """Walk an answer as it came over the wire: nothing unknown, nothing of a wrong type."""
    if isinstance(shape, StructureShape):
        assert isinstance(value, dict), path
        assert set(value) <= set(shape.members), f"{path} has {set(value) - set(shape.members)}"
        assert set(shape.required_members) <= set(value), path
        for name, item in value.items():
            check(shape.members[name], item, f"{path}.{name}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list), path
        assert len(value) <= shape.metadata.get("max", len(value)), path
        for number, item in enumerate(value):
            check(shape.member, item, f"{path}[{number}]")
    elif isinstance(shape, StringShape):
        assert isinstance(value, str), path
        assert len(value) >= shape.metadata.get("min", 0), path
        assert len(value) <= shape.metadata.get("max", len(value)), path
        if shape.enum:
            assert value in shape.enum, f"{path} = {value}"
        if pattern := shape.metadata.get("pattern"):
            assert re.search(pattern, value), f"{path} = {value}"
    elif shape.type_name in {"integer", "long"}:
        assert type(value) is int, f"{path} = {value!r}"
        assert value >= shape.metadata.get("min", value), f"{path} = {value}"
    elif shape.type_name in {"float", "double", "timestamp"}:
        assert type(value) in {float, int}, f"{path} = {value!r}"
        assert value >= shape.metadata.get("min", value), f"{path} = {value}"
        assert value <= shape.metadata.get("max", value), f"{path} = {value}"
    else:
        assert shape.type_name == "boolean", f"{path} is {shape.type_name}"
        assert isinstance(value, bool), path


@pytest.fixture
def wire() -> Callable[[Any], dict[str, list[dict[str, Any]]]]:
    """Listen to a client; returns the raw answers by operation, which boto3 would prune."""

    def listen(client: Any) -> dict[str, list[dict[str, Any]]]:
        heard: dict[str, list[dict[str, Any]]] = {}

        def note(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
            answer = json.loads(response_dict["body"])
            heard.setdefault(operation_model.name, []).append(answer)

        client.meta.events.register("before-parse.rekognition", note)
        return heard

    return listen


@pytest.fixture
def studio(real_studio: Studio) -> Studio:
    """With a client of the test's own."""
    return Studio(real_studio.daemon, real_studio.folder)


@pytest.mark.parametrize("bucket", ["clips", "films"], ids=["a folder", "moto's S3"])
def test_every_operation_answers_in_the_shapes_of_the_model(
    bucket: str, testdata: Path, studio: Studio, peers: Peers, tmp_path: Path,
    wire: Callable[[Any], dict[str, list[dict[str, Any]]]],
) -> None:  # fmt: skip
    photos = testdata / "photos"
    clip = slideshow(
        (studio.folder if bucket == "clips" else tmp_path) / "mixed.mp4",
        [photos / "insightface" / "happy.png", photos / "objects" / "fastestdet_1.jpg",
         photos / "face_recognition" / "obama.jpg"],
    )  # fmt: skip
    if bucket == "films":
        s3 = peers.client("s3")
        s3.create_bucket(Bucket="films")
        s3.upload_file(str(clip), "films", "mixed.mp4")
    topic, queue = peers.topic(f"AmazonRekognition-{bucket}")
    rekognition = studio.rekognition
    rekognition.create_collection(CollectionId=bucket)
    rekognition.index_faces(
        CollectionId=bucket, ExternalImageId="obama", MaxFaces=1,
        Image={"Bytes": (photos / "face_recognition" / "obama2.jpg").read_bytes()},
    )  # fmt: skip
    extra = EXTRA | {"FaceSearch": {"CollectionId": bucket}}
    heard = wire(rekognition)
    jobs = {
        kind: studio.start(
            kind, "mixed.mp4", bucket, JobTag=f"tag-{kind}", ClientRequestToken=f"token-{bucket}",
            NotificationChannel={"SNSTopicArn": topic, "RoleArn": ROLE}, **extra.get(kind, {}),
        )
        for kind in KINDS
        if kind != "CelebrityRecognition"  # nobody is known yet: it would fail
    }  # fmt: skip
    for kind, job_id in jobs.items():
        answer = studio.wait(kind, job_id)
        assert answer["JobStatus"] == "SUCCEEDED", answer.get("StatusMessage")
        assert answer[LISTS[kind]], kind
        assert answer["JobId"] == job_id
        assert answer["JobTag"] == f"tag-{kind}"
        assert answer["Video"] == {"S3Object": {"Bucket": bucket, "Name": "mixed.mp4"}}
        metadata = {
            "Codec": "h264", "DurationMillis": 3000, "Format": "QuickTime / MOV",
            "FrameRate": 10.0, "FrameHeight": 1024, "FrameWidth": 1280, "ColorRange": "LIMITED",
        }  # fmt: skip
        assert answer["VideoMetadata"] == metadata
        second = studio.get(kind, job_id, MaxResults=1)
        assert second["VideoMetadata"] == metadata
        studio.get(kind, job_id, MaxResults=1, NextToken=second["NextToken"])
    for kind in ("LabelDetection", "ContentModeration"):
        studio.get(kind, jobs[kind], SortBy="NAME", AggregateBy="SEGMENTS")
    for operation, answers in heard.items():
        shape = MODEL.operation_model(operation).output_shape
        for answer in answers:
            check(shape, answer, operation)
    assert set(heard) == {
        f"{verb}{kind}" for verb in ("Start", "Get") for kind in KINDS
    } - {"StartCelebrityRecognition", "GetCelebrityRecognition"}  # fmt: skip

    notices = peers.hear(queue, len(jobs))
    assert {notice["JobId"] for notice in notices} == set(jobs.values())
    assert len(notices) == len(jobs)
    for notice in notices:
        kind = notice["API"].removeprefix("Start")
        assert list(notice) == ["JobId", "Status", "API", "JobTag", "Timestamp", "Video"]
        assert notice["JobId"] == jobs[kind]
        assert notice["Status"] == "SUCCEEDED"
        assert notice["JobTag"] == f"tag-{kind}"
        assert notice["Video"] == {"S3ObjectName": "mixed.mp4", "S3Bucket": bucket}
        assert isinstance(notice["Timestamp"], int)


def test_celebrities_answer_in_the_shapes_of_the_model(
    testdata: Path, studio: Studio, tmp_path: Path, run_cli: Any,
    wire: Callable[[Any], dict[str, list[dict[str, Any]]]],
) -> None:  # fmt: skip
    photos = testdata / "photos" / "face_recognition"
    folder = tmp_path / "stars"
    folder.mkdir()
    (folder / "obama.jpg").write_bytes((photos / "obama.jpg").read_bytes())
    (folder / "manifest.toml").write_text(
        'celebrities = true\n[[people]]\nname = "Barack Obama"\nid = "1SK7cR8M"\n'
        'gender = "Male"\nurls = ["www.example.org"]\nphotos = ["obama.jpg"]\n'
    )
    applied = run_cli("collections", "apply", str(folder), "--endpoint-url", studio.daemon.url)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    slideshow(studio.folder / "obama.mp4", [photos / "obama2.jpg"])
    heard = wire(studio.rekognition)
    assert studio.run("CelebrityRecognition", "obama.mp4")
    studio.rekognition.get_celebrity_info(Id="1SK7cR8M")
    for operation, answers in heard.items():
        shape = MODEL.operation_model(operation).output_shape
        for answer in answers:
            check(shape, answer, operation)
    assert set(heard) == {
        "StartCelebrityRecognition", "GetCelebrityRecognition", "GetCelebrityInfo"
    }  # fmt: skip


def test_every_operation_that_is_named_here_is_in_the_model() -> None:
    for kind in KINDS:
        assert OPERATION[kind]
        MODEL.operation_model(f"Start{kind}")
        assert LISTS[kind] in MODEL.operation_model(f"Get{kind}").output_shape.members
