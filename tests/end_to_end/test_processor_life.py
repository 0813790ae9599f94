"""The life of a processor from outside: boto3, aws-cli, real H.264, real faces."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parent.parent.parent


def test_live_video_in_recognised_faces_out(
    rig: Any, clip: Path, eileen_png: bytes, run_cli: Callable[..., Any], key_of: Any
) -> None:
    face_id = rig.enrol(eileen_png, "Eileen-Collins")
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    sent = run_cli("put-media", str(clip), "--stream", "cam", "--fast",
                   "--endpoint-url", rig.daemon.url)  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    due = rig.expected()
    assert len(due) in {30, 31}  # six seconds at five analysed frames a second
    records = rig.wait_until(lambda: len(found := rig.records()) >= len(due) and found, 60.0)
    assert [key_of(record) for record in records] == due
    for record in records:
        assert record["InputInformation"]["KinesisVideo"]["StreamArn"] == video
        faces = record["FaceSearchResponse"]
        assert len(faces) == 1
        matches = faces[0]["MatchedFaces"]
        assert [match["Face"]["FaceId"] for match in matches] == [face_id]
        assert matches[0]["Face"]["ExternalImageId"] == "Eileen-Collins"
        assert matches[0]["Similarity"] >= 90.0
    rig.rekognition.stop_stream_processor(Name="cam")
    rig.await_status("STOPPED")
    rig.rekognition.delete_stream_processor(Name="cam")
    with pytest.raises(rig.rekognition.exceptions.ResourceNotFoundException):
        rig.status()


def test_a_face_deleted_while_running_is_a_stranger_in_the_next_record(
    rig: Any, clip: Path, eileen_png: bytes, run_cli: Callable[..., Any]
) -> None:
    face_id = rig.enrol(eileen_png, "Eileen-Collins")
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    push = ("put-media", str(clip), "--stream", "cam", "--fast", "--endpoint-url", rig.daemon.url)
    run_cli(*push)
    before = len(rig.expected())
    rig.wait_until(lambda: len(rig.records()) >= before, 60.0)
    rig.rekognition.delete_faces(CollectionId="people", FaceIds=[face_id])
    run_cli(*push)
    after = len(rig.expected()) - before
    records = rig.wait_until(lambda: len(got := rig.records()) >= before + after and got, 60.0)
    names = [len(face["MatchedFaces"]) for r in records for face in r["FaceSearchResponse"]]
    assert names == [1] * before + [0] * after


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("video", "Stream gone doesn't exist"),
        ("data", "Stream gone under account 000000000000 not found"),
        ("collection", "Collection not found"),
    ],
)
def test_what_is_missing_outside_shows_at_start_and_is_mended_by_starting_again(
    rig: Any, missing: str, told: str
) -> None:
    video, data = rig.streams()
    arguments = {"video_arn": video, "data_arn": data, "collection": "people"}
    if missing == "video":
        arguments["video_arn"] = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/gone/1"
    elif missing == "data":
        arguments["data_arn"] = "arn:aws:kinesis:us-east-1:000000000000:stream/gone"
    else:
        arguments["collection"] = "later"
    rig.create(**arguments)  # creating checks shapes only
    rig.rekognition.start_stream_processor(Name="cam")
    described = rig.await_status("FAILED")
    assert described["StatusMessage"] == told
    if missing == "collection":
        rig.rekognition.create_collection(CollectionId="later")
        rig.start()
        assert not rig.rekognition.describe_stream_processor(Name="cam").get("StatusMessage")


def test_illegal_calls_raise_the_modelled_error_and_change_nothing(rig: Any) -> None:
    errors = rig.rekognition.exceptions
    video, data = rig.streams()
    rig.create(video, data)
    with pytest.raises(errors.ResourceInUseException, match="already in use"):
        rig.create(video, data)
    with pytest.raises(errors.ResourceInUseException):
        rig.rekognition.stop_stream_processor(Name="cam")
    with pytest.raises(errors.InvalidParameterException):
        rig.rekognition.update_stream_processor(
            Name="cam", SettingsForUpdate={"ConnectedHomeForUpdate": {"MinConfidence": 80}}
        )
    assert rig.status() == "STOPPED"
    rig.start()
    for call in ("start_stream_processor", "delete_stream_processor"):
        with pytest.raises(errors.ResourceInUseException):
            getattr(rig.rekognition, call)(Name="cam")
    assert rig.status() == "RUNNING"
    for call in ("start", "stop", "describe", "delete"):
        with pytest.raises(errors.ResourceNotFoundException, match="nobody"):
            getattr(rig.rekognition, f"{call}_stream_processor")(Name="nobody")
    with pytest.raises(ClientError, match="Name"):
        rig.rekognition.describe_stream_processor(Name="not a name!")


def test_aws_cli_creates_describes_and_lists(rig: Any, aws_cli: Any) -> None:
    video, data = rig.streams()

    created = aws_cli(
        rig.daemon.url, "create-stream-processor", "--name", "cli",
        "--input", json.dumps({"KinesisVideoStream": {"Arn": video}}),
        "--stream-processor-output", json.dumps({"KinesisDataStream": {"Arn": data}}),
        "--settings", json.dumps({"FaceSearch": {"CollectionId": "people"}}),
        "--role-arn", "arn:aws:iam::000000000000:role/any",
    )  # fmt: skip
    assert created["StreamProcessorArn"].endswith(":streamprocessor/cli")
    described = aws_cli(rig.daemon.url, "describe-stream-processor", "--name", "cli")
    assert described["Status"] == "STOPPED"
    assert described["Settings"]["FaceSearch"]["FaceMatchThreshold"] == 70.0
    assert aws_cli(rig.daemon.url, "list-stream-processors")["StreamProcessors"] == [
        {"Name": "cli", "Status": "STOPPED"}
    ]
