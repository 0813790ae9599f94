"""Requests, pictures and settings that are wrong: each answer says what, and what to do."""

import http.client
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import boto3
import cv2
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image as Pillow

from streamproc.cli.demo_video import EILEEN
from tests.conftest import wait_until
from tests.end_to_end.conftest import ROLE, Rig

VIDEO_ARN = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/cam/1700000000000"
DATA_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/cam"
FACE_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def rig(start_shared_daemon: Any) -> Rig:
    rig = Rig(start_shared_daemon(), wait_until)
    rig.rekognition.create_collection(CollectionId="people")
    rig.streams("cam")
    return rig


@pytest.fixture(autouse=True)
def nothing_is_lost(rig: Rig) -> Iterator[None]:
    """Whatever a test did: no traceback in the log, nothing made, and the daemon answers."""
    told = len(rig.daemon.log)
    yield
    assert rig.rekognition.list_stream_processors()["StreamProcessors"] == []
    assert rig.rekognition.list_collections()["CollectionIds"] == ["people"]
    assert rig.rekognition.list_faces(CollectionId="people")["Faces"] == []
    assert rig.kinesis.list_streams()["StreamNames"] == ["cam"]
    assert len(rig.kinesisvideo.list_streams()["StreamInfoList"]) == 1
    assert "Traceback" not in rig.daemon.log[told:], rig.daemon.log[told:]
    assert " ERROR " not in rig.daemon.log[told:], rig.daemon.log[told:]


@pytest.fixture(scope="module")
def client(rig: Rig) -> Callable[[str], Any]:
    """Clients that send what they are told to: boto3 would refuse some of it by itself."""

    def of(service: str) -> Any:
        return boto3.client(
            service, endpoint_url=rig.daemon.url, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )  # fmt: skip

    return of


def refusal(client: Any, operation: str, **arguments: Any) -> tuple[str, str]:
    """Code and message of the error, which is one that the operation's model lists, or one
    of those that every operation may answer."""
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)
    error = caught.value.response["Error"]
    assert 400 <= caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    listed = {shape.name for shape in model.error_shapes}
    assert error["Code"] in listed | {"ValidationException", "SerializationException"}, error
    return error["Code"], error["Message"]


# --- names, ARNs, ids, thresholds, tokens ----------------------------------------------------

PROCESSOR = {
    "Name": "cam",
    "Input": {"KinesisVideoStream": {"Arn": VIDEO_ARN}},
    "Output": {"KinesisDataStream": {"Arn": DATA_ARN}},
    "Settings": {"FaceSearch": {"CollectionId": "people", "FaceMatchThreshold": 80.0}},
    "RoleArn": ROLE,
}


def search(**settings: Any) -> dict[str, Any]:
    return {"Settings": {"FaceSearch": {"CollectionId": "people", **settings}}}


@pytest.mark.parametrize(
    ("change", "member", "value"),
    [
        ({"Name": "two words"}, "Name", "two words"),
        ({"Name": "ä"}, "Name", "ä"),
        ({"Name": "n" * 129}, "Name", "128"),
        ({"RoleArn": "arn:aws:iam::1:role"}, "RoleArn", "arn:aws:iam::1:role"),
        ({"Input": {"KinesisVideoStream": {"Arn": DATA_ARN}}}, "Arn", DATA_ARN),
        ({"Input": {"KinesisVideoStream": {"Arn": "cam"}}}, "Arn", "cam"),
        ({"Output": {"KinesisDataStream": {"Arn": VIDEO_ARN}}}, "Arn", VIDEO_ARN[:60]),
        (search(CollectionId="no spaces"), "CollectionId", "no spaces"),
        (search(FaceMatchThreshold=100.5), "FaceMatchThreshold", "100.5"),
        (search(FaceMatchThreshold=-1.0), "FaceMatchThreshold", "-1"),
        (search(FaceMatchThreshold=float("nan")), "FaceMatchThreshold", "NaN"),
        (search(FaceMatchThreshold=float("inf")), "FaceMatchThreshold", "Infinity"),
        ({"Tags": {"": "x"}}, "Tags", ""),
        ({"KmsKeyId": "#"}, "KmsKeyId", "#"),
    ],
)
def test_a_processor_out_of_pattern_is_not_created(
    client: Any, change: dict[str, Any], member: str, value: str
) -> None:
    _, message = refusal(client("rekognition"), "create_stream_processor", **PROCESSOR | change)
    assert member in message
    assert value in message


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        ("create_collection", {"CollectionId": "a/b"}, ["CollectionId", "a/b"]),
        ("describe_collection", {"CollectionId": "x" * 256}, ["CollectionId", "255"]),
        ("list_faces", {"CollectionId": "people", "NextToken": "made up"}, ["NextToken"]),
        ("list_faces", {"CollectionId": "people", "MaxResults": 5000}, ["MaxResults", "4096"]),
        ("list_faces", {"CollectionId": "people", "FaceIds": ["x"]}, ["FaceIds", "x"]),
        ("list_collections", {"NextToken": "bWFkZSB1cA=="}, ["NextToken"]),
        ("list_stream_processors", {"NextToken": "@@"}, ["NextToken"]),
        ("list_stream_processors", {"MaxResults": -1}, ["MaxResults", "-1"]),
        ("delete_faces", {"CollectionId": "people", "FaceIds": ["no id"]}, ["FaceIds", "no id"]),
        ("delete_faces", {"CollectionId": "people", "FaceIds": []}, ["FaceIds"]),
        ("search_faces", {"CollectionId": "people", "FaceId": "x"}, ["FaceId", "x"]),
        ("search_faces", {"CollectionId": "people", "FaceId": FACE_ID}, [FACE_ID]),
        ("search_faces", {"CollectionId": "people", "FaceId": FACE_ID, "MaxFaces": 0},
         ["MaxFaces", "0"]),
        ("search_faces", {"CollectionId": "people", "FaceId": FACE_ID, "MaxFaces": 10**30},
         ["MaxFaces"]),
        ("search_faces", {"CollectionId": "people", "FaceId": FACE_ID,
                          "FaceMatchThreshold": 1e300}, ["FaceMatchThreshold"]),
        ("tag_resource", {"ResourceArn": "people", "Tags": {"a": "b"}}, ["ResourceArn", "people"]),
        ("list_tags_for_resource", {"ResourceArn": VIDEO_ARN}, ["ResourceArn", VIDEO_ARN]),
        ("start_stream_processor", {"Name": "#"}, ["Name", "#"]),
    ],
)  # fmt: skip
def test_rekognition_names_what_is_out_of_range(
    client: Any, operation: str, arguments: dict[str, Any], words: list[str]
) -> None:
    _, message = refusal(client("rekognition"), operation, **arguments)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "word"),
    [
        ("kinesisvideo", "create_stream", {"StreamName": "two words"}, "two words"),
        ("kinesisvideo", "create_stream", {"StreamName": "x", "DataRetentionInHours": -1}, "-1"),
        ("kinesisvideo", "create_stream", {"StreamName": "cam"}, "cam"),
        ("kinesisvideo", "describe_stream", {"StreamName": "gone"}, "gone"),
        ("kinesisvideo", "describe_stream", {"StreamARN": DATA_ARN}, DATA_ARN),
        ("kinesisvideo", "describe_stream", {}, "StreamName"),
        ("kinesisvideo", "get_data_endpoint", {"StreamName": "cam", "APIName": "X"}, "APIName"),
        ("kinesisvideo", "list_streams", {"NextToken": "made up"}, "NextToken"),
        ("kinesisvideo", "update_data_retention",
         {"StreamName": "cam", "CurrentVersion": "old", "Operation": "INCREASE_DATA_RETENTION",
          "DataRetentionChangeInHours": 1}, "old"),
        ("kinesis-video-media", "get_media",
         {"StreamName": "gone", "StartSelector": {"StartSelectorType": "NOW"}}, "gone"),
        ("kinesis-video-media", "get_media",
         {"StreamName": "cam", "StartSelector": {"StartSelectorType": "SOON"}}, "SOON"),
        ("kinesis-video-media", "get_media",
         {"StreamName": "cam", "StartSelector": {"StartSelectorType": "FRAGMENT_NUMBER"}},
         "AfterFragmentNumber"),
        ("kinesis-video-media", "get_media",
         {"StreamName": "cam", "StartSelector": {"StartSelectorType": "FRAGMENT_NUMBER",
                                                 "AfterFragmentNumber": "last"}}, "last"),
        ("kinesis-video-archived-media", "get_media_for_fragment_list",
         {"StreamName": "cam", "Fragments": ["x"]}, "x"),
        ("kinesis-video-archived-media", "list_fragments", {"StreamName": "gone"}, "gone"),
        ("kinesis", "create_stream", {"StreamName": "two words", "ShardCount": 1}, "two words"),
        ("kinesis", "create_stream", {"StreamName": "big", "ShardCount": 10**6}, "1000000"),
        ("kinesis", "create_stream", {"StreamName": "none", "ShardCount": 0}, "0"),
        ("kinesis", "create_stream", {"StreamName": "cam", "ShardCount": 1}, "cam"),
        ("kinesis", "describe_stream", {"StreamName": "gone"}, "gone"),
        ("kinesis", "put_record", {"StreamName": "gone", "Data": b"x", "PartitionKey": "k"},
         "gone"),
        ("kinesis", "put_record", {"StreamName": "cam", "Data": b"x", "PartitionKey": "k" * 300},
         "256"),
        ("kinesis", "put_record", {"StreamName": "cam", "Data": bytes(2**20 + 1),
                                   "PartitionKey": "k"}, "1048578 bytes"),
        ("kinesis", "put_record", {"StreamName": "cam", "Data": b"x", "PartitionKey": "k",
                                   "ExplicitHashKey": "abc"}, "abc"),
        ("kinesis", "get_records", {"ShardIterator": "made up"}, "Invalid ShardIterator"),
        ("kinesis", "get_shard_iterator",
         {"StreamName": "cam", "ShardId": "shard 1", "ShardIteratorType": "LATEST"}, "shard 1"),
        ("kinesis", "get_shard_iterator",
         {"StreamName": "cam", "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"},
         "shardId-000000000009"),
        ("kinesis", "get_shard_iterator",
         {"StreamName": "cam", "ShardId": "shardId-000000000000",
          "ShardIteratorType": "AT_SEQUENCE_NUMBER"}, "StartingSequenceNumber"),
        ("kinesis", "get_shard_iterator",
         {"StreamName": "cam", "ShardId": "shardId-000000000000",
          "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "9" * 60}, "9999"),
        ("kinesis", "get_shard_iterator",
         {"StreamName": "cam", "ShardId": "shardId-000000000000",
          "ShardIteratorType": "AT_TIMESTAMP"}, "Timestamp"),
        ("kinesis", "list_shards", {"NextToken": "made up"}, "NextToken"),
        ("kinesis", "list_streams", {"Limit": 0}, "Limit"),
    ],
)  # fmt: skip
def test_streams_name_what_is_wrong(
    client: Any, service: str, operation: str, arguments: dict[str, Any], word: str
) -> None:
    _, message = refusal(client(service), operation, **arguments)
    assert word in message


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_collection", {}),
        ("delete_collection", {}),
        ("list_faces", {}),
        ("delete_faces", {"FaceIds": [FACE_ID]}),
        ("search_faces", {"FaceId": FACE_ID}),
        ("index_faces", {"Image": {"Bytes": b"\x00"}}),
        ("search_faces_by_image", {"Image": {"Bytes": b"\x00"}}),
    ],
)
def test_an_unknown_collection_is_named(
    rig: Rig, operation: str, arguments: dict[str, Any]
) -> None:
    code, message = refusal(rig.rekognition, operation, CollectionId="nobody", **arguments)
    assert code == "ResourceNotFoundException"
    assert "nobody" in message


@pytest.mark.parametrize(
    ("target", "body", "word"),
    [
        ("RekognitionService.ListCollections", b"{", "JSON"),
        ("RekognitionService.ListCollections", b"[]", "object"),
        ("RekognitionService.ListCollections", b"\xff\xfe", "UTF-8"),
        ("RekognitionService.ListCollections", b'{"MaxResults": "ten"}', "MaxResults"),
        ("RekognitionService.ListCollections", b"[" * 100_000, "nested too deeply"),
        ("RekognitionService.DetectFaces", b'{"Image": {"Bytes": "???"}}', "Bytes"),
        ("RekognitionService.DetectFaces", b'{"Image": null}', "Image"),
        ("RekognitionService.RecogniseEverybody", b"{}", "RecogniseEverybody"),
        ("NoService.ListCollections", b"{}", "NoService"),
        ("", b"{}", "--endpoint-url"),
    ],
)
def test_bytes_that_no_client_sends_are_refused_in_words(
    rig: Rig, target: str, body: bytes, word: str
) -> None:
    connection = http.client.HTTPConnection(urlsplit(rig.daemon.url).netloc, timeout=20)
    headers = {"X-Amz-Target": target} if target else {}
    connection.request("POST", "/", body, {"Content-Type": "application/x-amz-json-1.1", **headers})
    answer = connection.getresponse()
    error = json.loads(answer.read())
    connection.close()
    assert 400 <= answer.status < 500, error
    assert error["__type"]
    assert word in error["message"]


# --- pictures --------------------------------------------------------------------------------


def png(picture: np.ndarray[Any, Any]) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def hundred_million_pixels() -> bytes:
    side = 10_000

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif() -> bytes:
    file = BytesIO()
    Pillow.new("RGB", (100, 100)).save(file, "GIF")
    return file.getvalue()


PORTRAIT = png(EILEEN.portrait())


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda: b"hello", "InvalidImageFormatException", ["neither JPEG nor PNG"]),
        (gif, "InvalidImageFormatException", ["neither JPEG nor PNG"]),
        (lambda: PORTRAIT[: len(PORTRAIT) // 2], "InvalidImageFormatException", ["cut off"]),
        (lambda: b"\xff\xd8\xff" + b"\x00" * 500, "InvalidImageFormatException", ["JPEG"]),
        (lambda: png(np.zeros((79, 500, 3), np.uint8)), "InvalidParameterException",
         ["500 x 79", "80"]),
        (hundred_million_pixels, "ImageTooLargeException", ["100000000 pixels", "50000000"]),
        (lambda: b"\xff\xd8\xff" + bytes(5 * 2**20), "InvalidParameterException", ["5242880"]),
        (lambda: bytes(40 * 2**20), "", ["33554432"]),
    ],
    ids=["text", "gif", "half a png", "broken jpeg", "too small", "10^8 pixels", "5 MiB",
         "40 MiB"],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["detect_faces", "index_faces", "compare_faces"])
def test_pictures_that_cannot_be_used_are_refused_with_the_reason(
    rig: Rig, make: Callable[[], bytes], code: str, words: list[str], operation: str
) -> None:
    image = {"Bytes": make()}
    arguments: dict[str, dict[str, Any]] = {
        "detect_faces": {"Image": image},
        "index_faces": {"Image": image, "CollectionId": "people"},
        "compare_faces": {"SourceImage": {"Bytes": PORTRAIT}, "TargetImage": image},
    }
    with pytest.raises(ClientError) as caught:
        getattr(rig.rekognition, operation)(**arguments[operation])
    error = caught.value.response["Error"]
    assert error["Code"] == code or not code
    assert all(word in error["Message"] for word in words), error


def test_a_picture_turned_by_its_exif_is_seen_upright(rig: Rig) -> None:
    """Every one of the eight ways to hold a camera finds the face in the same place."""
    upright = Pillow.fromarray(EILEEN.portrait()[:, :, ::-1])
    undo = {
        1: None, 2: Pillow.Transpose.FLIP_LEFT_RIGHT, 3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM, 5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_90, 7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_270,
    }  # fmt: skip
    boxes = []
    for orientation, turn in undo.items():
        exif = Pillow.Exif()
        exif[0x0112] = orientation
        file = BytesIO()
        picture = upright if turn is None else upright.transpose(turn)
        picture.save(file, "JPEG", quality=95, exif=exif)
        [face] = rig.rekognition.detect_faces(Image={"Bytes": file.getvalue()})["FaceDetails"]
        boxes.append(face["BoundingBox"])
    for side in ("Left", "Top", "Width", "Height"):
        assert max(box[side] for box in boxes) - min(box[side] for box in boxes) < 0.03


def test_a_picture_with_nobody_in_it_is_told_so(rig: Rig) -> None:
    nobody = {"Bytes": png(np.full((200, 200, 3), 90, np.uint8))}
    assert rig.rekognition.detect_faces(Image=nobody)["FaceDetails"] == []
    indexed = rig.rekognition.index_faces(CollectionId="people", Image=nobody)
    assert indexed["FaceRecords"] == []
    code, message = refusal(
        rig.rekognition, "search_faces_by_image", CollectionId="people", Image=nobody
    )
    assert code == "InvalidParameterException"
    assert "no faces" in message


def test_a_picture_in_s3_is_refused_with_the_setting_that_is_missing(rig: Rig) -> None:
    code, message = refusal(
        rig.rekognition, "detect_faces", Image={"S3Object": {"Bucket": "photos", "Name": "ann.png"}}
    )
    assert code == "InvalidS3ObjectException"
    assert "endpoints.s3" in message
