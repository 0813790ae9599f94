"""What a key may not do it does not do: by another operation, name, spelling or through us."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from streamproc.access.keys import NewKey
from streamproc.api import own_model, rekognition
from streamproc.local import kinesis_data, kinesis_video
from tests.end_to_end.policed import ACCOUNT, REGION, Policed, policed_daemon

SERVICES = {
    service.name: service
    for service in (
        rekognition,
        kinesis_data.service,
        kinesis_video.control,
        kinesis_video.media,
        kinesis_video.archived,
    )
}
REKOGNITION = f"arn:aws:rekognition:{REGION}:{ACCOUNT}"
KINESIS = f"arn:aws:kinesis:{REGION}:{ACCOUNT}"
VIDEO = f"arn:aws:kinesisvideo:{REGION}:{ACCOUNT}"
ROLE = "arn:aws:iam::000000000000:role/any"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:done"
JOB_ID = "0" * 64
FACE_ID = "00000000-0000-4000-8000-000000000000"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.fixture(scope="module")
def policed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policed]:
    """Everything there is by the name "there"; nothing by the name "gone"."""
    folder = tmp_path_factory.mktemp("policed")
    bucket = folder / "clips"
    bucket.mkdir()
    (bucket / "there.mp4").write_bytes(b"no video")
    with policed_daemon(folder / "data", buckets={"clips": str(bucket)}) as daemon:
        admin = daemon.key(EVERYTHING)
        daemon.client("rekognition", admin).create_collection(CollectionId="there")
        daemon.client("kinesis", admin).create_stream(StreamName="there", ShardCount=1)
        daemon.client("kinesisvideo", admin).create_stream(
            StreamName="there", DataRetentionInHours=1
        )
        make_processor(daemon, admin, "there")
        yield daemon


@pytest.fixture(scope="module")
def admin(policed: Policed) -> NewKey:
    return policed.key(EVERYTHING)


def allow(action: Any, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def deny(action: Any, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def make_processor(policed: Policed, key: NewKey, name: str) -> None:
    policed.client("rekognition", key).create_stream_processor(**processor(name))


def processor(name: str, collection: str = "there") -> dict[str, Any]:
    return {
        "Name": name,
        "Input": {"KinesisVideoStream": {"Arn": f"{VIDEO}:stream/there/17"}},
        "Output": {"KinesisDataStream": {"Arn": f"{KINESIS}:stream/there"}},
        "Settings": {"FaceSearch": {"CollectionId": collection}},
        "RoleArn": ROLE,
    }


def requests(name: str) -> dict[str, dict[str, Any]]:
    """A valid request for every operation, by service and operation, that names this thing
    wherever it names something."""
    collection, video = {"CollectionId": name}, {"S3Object": {"Bucket": "clips", "Name": "x.mp4"}}
    image = {"S3Object": {"Bucket": "clips", "Name": f"{name}.png"}}
    arn = {"ResourceArn": f"{REKOGNITION}:collection/{name}"}
    stream, data_arn = {"StreamName": name}, {"ResourceARN": f"{KINESIS}:stream/{name}"}
    record = {"Data": b"x", "PartitionKey": "k"}
    people = [{"Id": "a", "Name": "Ann"}]
    jobs: dict[str, dict[str, Any]] = {
        f"Start{kind}": {"Video": video}
        for kind in (
            "CelebrityRecognition", "ContentModeration", "FaceDetection", "LabelDetection",
            "PersonTracking",
        )
    }  # fmt: skip
    jobs["StartFaceSearch"] = {"Video": video, **collection}
    jobs |= {operation.replace("Start", "Get", 1): {"JobId": JOB_ID} for operation in jobs}
    return {
        "rekognition": {
            **jobs,
            "CompareFaces": {"SourceImage": image, "TargetImage": image},
            "CreateCollection": collection,
            "CreateStreamProcessor": processor(name, name),
            "DeleteCollection": collection,
            "DeleteFaces": {**collection, "FaceIds": [FACE_ID]},
            "DeleteStreamProcessor": {"Name": name},
            "DescribeCollection": collection,
            "DescribeStreamProcessor": {"Name": name},
            "DetectFaces": {"Image": image},
            "GetCelebrityInfo": {"Id": "a"},
            "IndexFaces": {**collection, "Image": image},
            "ListCollections": {},
            "ListFaces": collection,
            "ListStreamProcessors": {},
            "DescribeStreamproc": {},
            "GetStreamprocFacePicture": {"VisitId": FACE_ID},
            "ListStreamprocCameras": {},
            "ListStreamprocEvents": {},
            "ListStreamprocJobs": {},
            "ListStreamprocProcessors": {},
            "ListStreamprocPeople": collection,
            "ListTagsForResource": arn,
            "PutStreamprocPeople": {**collection, "People": people},
            "SearchFaces": {**collection, "FaceId": FACE_ID},
            "SearchFacesByImage": {**collection, "Image": image},
            "StartStreamProcessor": {"Name": name},
            "StopStreamProcessor": {"Name": name},
            "TagResource": {**arn, "Tags": {"a": "b"}},
            "UntagResource": {**arn, "TagKeys": ["a"]},
            "UpdateStreamProcessor": {"Name": name},
        },
        "kinesis": {
            "AddTagsToStream": {**stream, "Tags": {"a": "b"}},
            "CreateStream": {**stream, "ShardCount": 1},
            "DecreaseStreamRetentionPeriod": {**stream, "RetentionPeriodHours": 24},
            "DeleteStream": stream,
            "DescribeStream": stream,
            "DescribeStreamSummary": {"StreamARN": data_arn["ResourceARN"]},
            "GetShardIterator": {
                **stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST",
            },
            "IncreaseStreamRetentionPeriod": {**stream, "RetentionPeriodHours": 48},
            "ListShards": stream,
            "ListStreams": {},
            "ListTagsForResource": data_arn,
            "ListTagsForStream": stream,
            "PutRecord": {**stream, **record},
            "PutRecords": {**stream, "Records": [record]},
            "RemoveTagsFromStream": {**stream, "TagKeys": ["a"]},
            "TagResource": {**data_arn, "Tags": {"a": "b"}},
            "UntagResource": {**data_arn, "TagKeys": ["a"]},
            "UpdateMaxRecordSize": {
                "StreamARN": data_arn["ResourceARN"], "MaxRecordSizeInKiB": 1024,
            },
        },
        "kinesisvideo": {
            "CreateStream": stream,
            "DeleteStream": {"StreamARN": f"{VIDEO}:stream/{name}/17"},
            "DescribeStream": stream,
            "GetDataEndpoint": {**stream, "APIName": "GET_MEDIA"},
            "ListStreams": {},
            "ListTagsForStream": stream,
            "TagStream": {**stream, "Tags": {"a": "b"}},
            "UntagStream": {**stream, "TagKeyList": ["a"]},
            "UpdateDataRetention": {
                **stream, "CurrentVersion": "v", "Operation": "INCREASE_DATA_RETENTION",
                "DataRetentionChangeInHours": 1,
            },
            "UpdateStream": {**stream, "CurrentVersion": "v", "DeviceName": "d"},
        },
        "kinesis-video-media": {
            "GetMedia": {**stream, "StartSelector": {"StartSelectorType": "NOW"}},
        },
        "kinesis-video-archived-media": {
            "GetMediaForFragmentList": {**stream, "Fragments": ["1"]},
            "ListFragments": stream,
        },
    }  # fmt: skip


CALLS = [(service, operation) for service, of in requests("there").items() for operation in of]
# Asked for in tests of their own: one needs a token, botocore does not know the other.
ELSEWHERE = {("kinesis", "GetRecords"), ("kinesis-video-media", "PutMedia")}
OWN = set(own_model.OWN["operations"])


def call(policed: Policed, key: NewKey, service: str, operation: str, name: str) -> None:
    request = requests(name)[service][operation]
    client = policed.client(service, key)
    if operation in OWN:
        post_own(policed, key, operation, request)
    else:
        getattr(client, xform_name(operation))(**request)


def post_own(policed: Policed, key: NewKey, operation: str, request: dict[str, Any]) -> None:
    """botocore does not know our own operations; it signs them all the same."""
    headers = {
        "X-Amz-Target": f"RekognitionService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    status, body = signed(policed, key, "/", "rekognition", headers, json.dumps(request).encode())
    if status != 200:
        error = {"Code": body["__type"], "Message": body["message"]}
        answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, operation)


def signed(
    policed: Policed, key: NewKey, path: str, service: str, headers: dict[str, str], body: bytes
) -> tuple[int, Any]:
    request = AWSRequest("POST", policed.url + path, headers, body)
    SigV4Auth(Credentials(key.id, key.secret), service, REGION).add_auth(request)
    sent = Request(request.url, body, dict(request.headers), method="POST")
    try:
        with urlopen(sent, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except HTTPError as error:
        return error.code, json.loads(error.read())


def refusal(policed: Policed, key: NewKey, service: str, operation: str, name: str) -> str:
    with pytest.raises(ClientError) as caught:
        call(policed, key, service, operation, name)
    error = caught.value.response
    assert error["Error"]["Code"] == "AccessDeniedException", error
    expected = 403 if "video" in service else 400
    assert error["ResponseMetadata"]["HTTPStatusCode"] == expected
    return str(error["Error"]["Message"])


def test_every_operation_that_is_served_is_asked_for_here() -> None:
    served = {
        (name, operation) for name, service in SERVICES.items() for operation in service.operations
    }
    assert set(CALLS) | ELSEWHERE == served


@pytest.fixture(scope="module")
def nobody(policed: Policed) -> NewKey:
    """May do nothing that is served."""
    return policed.key(allow("ec2:*"))


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_without_the_right_nobody_learns_even_what_exists(
    policed: Policed, nobody: NewKey, service: str, operation: str
) -> None:
    there, gone = (refusal(policed, nobody, service, operation, name) for name in ("there", "gone"))
    prefix = SERVICES[service].model.signing_name
    assert f"is not authorized to perform: {prefix}:{operation} on resource: " in there
    assert there.startswith(f"User: arn:aws:iam::{ACCOUNT}:user/")
    assert there.replace("there", "gone") == gone


def test_put_media_needs_the_right_on_its_stream(
    policed: Policed, nobody: NewKey, admin: NewKey
) -> None:
    def put(key: NewKey, name: str) -> tuple[int, Any]:
        headers = {"x-amzn-stream-name": name, "x-amzn-fragment-timecode-type": "ABSOLUTE"}
        return signed(policed, key, "/putMedia", "kinesisvideo", headers, b"")

    status, body = put(nobody, "there")
    assert (status, body["__type"]) == (403, "AccessDeniedException")
    assert put(nobody, "gone")[1]["message"] == body["message"].replace("there", "gone")
    camera = policed.key(allow("kinesisvideo:PutMedia", f"{VIDEO}:stream/there/*"))
    assert put(camera, "there")[0] == 200
    assert put(camera, "gone")[0] == 403
    assert put(admin, "gone")[0] == 404


def test_an_iterator_is_good_only_with_the_right_on_its_stream(
    policed: Policed, admin: NewKey
) -> None:
    iterator = policed.client("kinesis", admin).get_shard_iterator(
        StreamName="there", ShardId="shardId-000000000000", ShardIteratorType="LATEST"
    )["ShardIterator"]
    other = policed.client("kinesis", policed.key(allow("kinesis:*", f"{KINESIS}:stream/gone")))
    denied = other.exceptions.AccessDeniedException
    with pytest.raises(denied, match=r"kinesis:GetRecords on resource: .*stream/there"):
        other.get_records(ShardIterator=iterator)
    with pytest.raises(denied, match="stream/there"):
        other.get_records(ShardIterator=iterator, StreamARN=f"{KINESIS}:stream/gone")
    own = policed.client("kinesis", policed.key(allow("kinesis:*", f"{KINESIS}:stream/there")))
    assert own.get_records(ShardIterator=iterator)["Records"] == []


def test_a_stream_denied_by_its_arn_is_denied_by_its_name(policed: Policed, admin: NewKey) -> None:
    arn = policed.client("kinesisvideo", admin).describe_stream(StreamName="there")["StreamInfo"][
        "StreamARN"
    ]
    key = policed.key(EVERYTHING, deny("kinesisvideo:*", arn))
    for named in ({"StreamName": "there"}, {"StreamARN": arn}):
        client = policed.client("kinesisvideo", key)
        with pytest.raises(ClientError, match="explicit deny"):
            client.describe_stream(**named)
    only = policed.client("kinesisvideo", policed.key(allow("kinesisvideo:*", arn)))
    assert only.describe_stream(StreamName="there")["StreamInfo"]["StreamARN"] == arn


# --- nobody does through us what they may not do themselves --------------------------------

MAKING = {
    "rekognition:CreateStreamProcessor": f"{REKOGNITION}:*",
    "rekognition:SearchFaces": f"{REKOGNITION}:collection/there",
    "kinesisvideo:GetMedia": f"{VIDEO}:stream/there/*",
    "kinesis:PutRecords": f"{KINESIS}:stream/there",
}


@pytest.mark.parametrize("missing", MAKING)
def test_a_processor_does_nothing_that_its_maker_may_not(policed: Policed, missing: str) -> None:
    granted = [allow(action, arn) for action, arn in MAKING.items() if action != missing]
    name = f"made-{missing.split(':')[1]}"
    key = policed.key(*granted)
    client = policed.client("rekognition", key)
    with pytest.raises(client.exceptions.AccessDeniedException, match=missing):
        make_processor(policed, key, name)
    whole = policed.key(*granted, allow(missing, MAKING[missing]))
    make_processor(policed, whole, name)


def test_an_object_is_read_only_for_whoever_may_read_it(policed: Policed) -> None:
    """In folders that stand for buckets too; and who may not learns not whether it exists."""
    may = [
        allow(["rekognition:DetectFaces", "rekognition:StartFaceDetection"]),
        allow("s3:GetObject", "arn:aws:s3:::clips/public/*"),
    ]
    client = policed.client("rekognition", policed.key(*may))
    denied = client.exceptions.AccessDeniedException
    for name in ("there.mp4", "gone.mp4", "Public/a"):
        named = {"S3Object": {"Bucket": "clips", "Name": name}}
        with pytest.raises(denied, match="s3:GetObject on resource: arn:aws:s3:::clips/") as error:
            client.detect_faces(Image=named)
        with pytest.raises(denied) as again:
            client.start_face_detection(Video=named)
        assert name in str(error.value)
        assert name in str(again.value)
    climbing = {"S3Object": {"Bucket": "clips", "Name": "public/../there.mp4"}}
    unreadable = client.exceptions.InvalidS3ObjectException
    with pytest.raises(unreadable, match="may be empty"):
        client.detect_faces(Image=climbing)
    with pytest.raises(unreadable, match="may be empty"):
        client.start_face_detection(Video=climbing)


def test_a_topic_is_told_only_for_whoever_may_publish(policed: Policed) -> None:
    key = policed.key(allow(["rekognition:*", "s3:GetObject"]))
    client = policed.client("rekognition", key)
    with pytest.raises(client.exceptions.AccessDeniedException, match=r"sns:Publish .*:done"):
        client.start_face_detection(
            Video={"S3Object": {"Bucket": "clips", "Name": "there.mp4"}},
            NotificationChannel={"SNSTopicArn": TOPIC, "RoleArn": ROLE},
        )


def test_celebrities_are_looked_for_only_by_whoever_may_search_them_all(
    policed: Policed, admin: NewKey
) -> None:
    policed.client("rekognition", admin).create_collection(CollectionId="staff")
    people = [{"Id": "a", "Name": "Ann"}]
    post_own(policed, admin, "PutStreamprocPeople", {"CollectionId": "staff", "People": people})
    video = {"S3Object": {"Bucket": "clips", "Name": "there.mp4"}}
    start = allow(["rekognition:StartCelebrityRecognition", "s3:GetObject"])
    for search in (
        [],
        [allow("rekognition:SearchFaces", f"{REKOGNITION}:collection/there")],
        [
            allow("rekognition:SearchFaces"),
            deny("rekognition:SearchFaces", f"{REKOGNITION}:collection/staff"),
        ],
    ):
        client = policed.client("rekognition", policed.key(start, *search))
        denied = client.exceptions.AccessDeniedException
        with pytest.raises(denied, match="rekognition:SearchFaces on resource") as error:
            client.start_celebrity_recognition(Video=video)
        assert "staff" not in str(error.value), "which collections exist is not told"
    policed.client(
        "rekognition",
        policed.key(start, allow("rekognition:SearchFaces", f"{REKOGNITION}:collection/staff")),
    ).start_celebrity_recognition(Video=video)


def test_what_is_allowed_gets_past_the_policy(policed: Policed) -> None:
    """Each operation with its own right, and those that it passes through."""
    through = ["s3:GetObject", "rekognition:SearchFaces", "kinesisvideo:GetMedia"]
    refused = []
    for service, operation in CALLS:
        prefix = SERVICES[service].model.signing_name
        key = policed.key(allow([f"{prefix}:{operation}", "kinesis:PutRecords", *through]))
        try:
            call(policed, key, service, operation, f"new-{operation.lower()}")
        except ClientError as error:  # there is nothing of this name
            if error.response["Error"]["Code"] == "AccessDeniedException":
                refused.append(str(error))
    assert refused == []
