"""Whatever a client calls a thing, it never becomes a path of ours, and never a failure of ours."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.access.keys import NewKey
from tests.api.live_api import painted
from tests.end_to_end.policed import ACCOUNT, REGION, Policed, policed_daemon

SHAPED = [
    "..", ".", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "%2e%2e", "..%2f..%2fdata", "~",
    "CON", "nul.txt", "a:b", "-rf", "*", "$(id)", "lock", "video.db", "x" * 5000, "ä", "\ud800",
    "a\0b", "\n", "", "streams/1",
]  # fmt: skip

PICTURE = painted((1, 20, 20, 80))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policed]:
    folder = tmp_path_factory.mktemp("shaped")
    (folder / "clips").mkdir()
    (folder / "secret.png").write_bytes(PICTURE)
    buckets = {"clips": str(folder / "clips")}
    with policed_daemon(folder / "data", buckets=buckets) as running:
        yield running


@pytest.fixture(scope="module")
def key(daemon: Policed) -> NewKey:
    return daemon.key({"Effect": "Allow", "Action": "*", "Resource": "*"})


def asked(daemon: Policed, key: NewKey, name: str) -> list[Callable[[], Any]]:
    """Requests that carry the name in every member that holds a client's own word."""
    rekognition, kinesis, video = (
        daemon.client(service, key) for service in ("rekognition", "kinesis", "kinesisvideo")
    )
    archive = daemon.client("kinesis-video-archived-media", key)
    image = {"Bytes": PICTURE}
    clip = {"S3Object": {"Bucket": "clips", "Name": name}}
    processor = {
        "Name": name,
        "Input": {"KinesisVideoStream": {"Arn": video_arn(name)}},
        "Output": {"KinesisDataStream": {"Arn": data_arn(name)}},
        "Settings": {"FaceSearch": {"CollectionId": name}},
        "RoleArn": "arn:aws:iam::000000000000:role/any",
    }
    plain = {**processor, "Name": "plain", "Settings": {"FaceSearch": {"CollectionId": "plain"}}}
    return [
        lambda: rekognition.create_collection(CollectionId=name, Tags={name: name}),
        lambda: rekognition.index_faces(CollectionId=name, Image=image, QualityFilter="NONE"),
        lambda: rekognition.index_faces(
            CollectionId="plain", Image=image, ExternalImageId=name, QualityFilter="NONE"
        ),
        lambda: rekognition.search_faces(CollectionId="plain", FaceId=name),
        lambda: rekognition.describe_collection(CollectionId=name),
        lambda: rekognition.create_stream_processor(**processor),
        lambda: rekognition.create_stream_processor(**plain),
        lambda: rekognition.start_stream_processor(Name=name),
        lambda: rekognition.stop_stream_processor(Name=name),
        lambda: rekognition.detect_faces(Image=clip),
        lambda: rekognition.start_face_detection(Video=clip, JobTag=name, ClientRequestToken=name),
        lambda: rekognition.get_face_detection(JobId=name),
        lambda: rekognition.detect_faces(Image={"S3Object": {"Bucket": name, "Name": "a"}}),
        lambda: rekognition.get_celebrity_info(Id=name),
        lambda: rekognition.list_tags_for_resource(ResourceArn=f"{arn('rekognition')}:{name}"),
        lambda: rekognition.delete_collection(CollectionId=name),
        lambda: kinesis.create_stream(StreamName=name, ShardCount=1, Tags={name: name}),
        lambda: kinesis.put_record(StreamName=name, PartitionKey=name, Data=b"x"),
        lambda: kinesis.get_shard_iterator(
            StreamName=name, ShardId=name, ShardIteratorType="LATEST"
        ),
        lambda: kinesis.get_records(ShardIterator=name),
        lambda: kinesis.describe_stream(StreamARN=data_arn(name)),
        lambda: kinesis.delete_stream(StreamName=name),
        lambda: video.create_stream(StreamName=name, DeviceName=name, Tags={name: name}),
        lambda: video.describe_stream(StreamARN=video_arn(name)),
        lambda: video.get_data_endpoint(StreamName=name, APIName="GET_MEDIA"),
        lambda: archive.list_fragments(StreamName=name),
        lambda: archive.get_media_for_fragment_list(StreamName=name, Fragments=[name]),
    ]


def arn(service: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}"


def video_arn(name: str) -> str:
    return f"{arn('kinesisvideo')}:stream/{name}/17"


def data_arn(name: str) -> str:
    return f"{arn('kinesis')}:stream/{name}"


def shapes_of(folder: Path) -> set[str]:
    """What lies there, with our own numbers left out."""
    return {
        re.sub(r"[0-9a-f]{8,}|\d+", "N", str(path.relative_to(folder)))
        for path in folder.rglob("*")
    }


def status_of(ask: Callable[[], Any]) -> int:
    """Of the answer; 0 where the client itself cannot send the name."""
    try:
        ask()
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    except UnicodeEncodeError:
        return 0
    return 200


def test_no_name_becomes_a_path_or_a_failure(daemon: Policed, key: NewKey) -> None:
    daemon.client("rekognition", key).create_collection(CollectionId="plain")
    assert all(status_of(ask) < 500 for ask in asked(daemon, key, "simple"))
    root = daemon.folder.parent
    before = shapes_of(root)
    statuses = {name: [status_of(ask) for ask in asked(daemon, key, name)] for name in SHAPED}
    assert {name: all_ for name, all_ in statuses.items() if max(all_) >= 500} == {}
    assert sum(all_.count(200) for all_ in statuses.values()) > 30, "many of these are good names"
    assert shapes_of(root) - before == set(), "what lies there has our own names alone"


def test_a_key_that_climbs_reads_nothing(daemon: Policed, key: NewKey) -> None:
    rekognition = daemon.client("rekognition", key)
    for name in ("../secret.png", "a/../../secret.png", str(daemon.folder.parent / "secret.png")):
        named = {"S3Object": {"Bucket": "clips", "Name": name}}
        with pytest.raises(rekognition.exceptions.InvalidS3ObjectException):
            rekognition.detect_faces(Image=named)
        with pytest.raises(rekognition.exceptions.InvalidS3ObjectException):
            rekognition.start_face_detection(Video=named)


def test_a_link_in_a_bucket_leads_nowhere_else(daemon: Policed, key: NewKey) -> None:
    root = daemon.folder.parent
    clips = root / "clips"
    (clips / "link.png").symlink_to(root / "secret.png")
    (clips / "up").symlink_to(root)
    (clips / "keys").symlink_to(daemon.folder)
    os.mkfifo(clips / "pipe")
    rekognition = daemon.client("rekognition", key)
    for name in ("link.png", "up/secret.png", "keys/keys.db", "up/clips/link.png", "pipe"):
        named = {"S3Object": {"Bucket": "clips", "Name": name}}
        for operation, member in (("detect_faces", "Image"), ("start_face_detection", "Video")):
            refused = rekognition.exceptions.InvalidS3ObjectException
            with pytest.raises(refused, match=r"leads out of the bucket|is not a file"):
                getattr(rekognition, operation)(**{member: named})
