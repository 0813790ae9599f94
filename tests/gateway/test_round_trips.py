"""What a real client sends arrives, and what a handler returns comes back, type by type."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from botocore.config import Config

from streamproc.gateway.app import build_app
from streamproc.gateway.dispatch import RequestContext, Service

Serve = Callable[..., Awaitable[str]]
Fetch = Callable[..., Awaitable[Any]]
Client = Callable[..., Any]
Call = Callable[..., Awaitable[Any]]
Seen = dict[str, Any]

rekognition = Service[Seen]("rekognition", validation_error="InvalidParameterException")
kinesis = Service[Seen]("kinesis", validation_error="ValidationException")
video = Service[Seen]("kinesisvideo", validation_error="InvalidArgumentException")
media = Service[Seen]("kinesis-video-media", validation_error="InvalidArgumentException")

FACE_ID = "00000000-0000-0000-0000-000000000000"
ANSWERS: dict[str, dict[str, Any]] = {
    "CreateStreamProcessor": {"StreamProcessorArn": "arn:aws:rekognition:…"},
    "DescribeCollection": {
        "FaceCount": 3,
        "FaceModelVersion": "5.0",
        "CreationTimestamp": 1533422155.0425,
    },
    "SearchFaces": {
        "FaceMatches": [
            {"Similarity": 99.24723052978516, "Face": {"FaceId": "é", "BoundingBox": {"Left": 0}}}
        ]
    },
    "PutRecords": {"FailedRecordCount": 0, "Records": [{"SequenceNumber": "1", "ShardId": "s"}]},
    "GetRecords": {
        "Records": [
            {
                "SequenceNumber": "9" * 56,
                "ApproximateArrivalTimestamp": 1700000000,
                "Data": bytes(range(256)),
                "PartitionKey": "k",
            }
        ],
        "MillisBehindLatest": 2**40,
    },
    "GetShardIterator": {"ShardIterator": "i"},
    "DescribeStream": {"StreamInfo": {"StreamName": "s", "DataRetentionInHours": 0}},
    "ListTagsForStream": {"Tags": {"team": "Straße", "empty": ""}},
    "DeleteStream": {},
    "DeleteCollection": {"StatusCode": 200},
}


def record(service: Service[Seen], name: str) -> None:
    @service.operation(name)
    async def handle(seen: Seen, request: dict[str, Any], context: RequestContext) -> Any:
        seen |= {"request": request, "context": context}
        return ANSWERS[name]


for name in ("CreateStreamProcessor", "DescribeCollection", "SearchFaces", "DeleteCollection"):
    record(rekognition, name)
for name in ("PutRecords", "GetRecords", "GetShardIterator", "DeleteStream"):
    record(kinesis, name)
for name in ("DescribeStream", "ListTagsForStream", "DeleteStream"):
    record(video, name)


@media.operation("GetMedia")
async def get_media(seen: Seen, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    seen |= {"request": request, "context": context}

    async def chunks() -> AsyncIterator[bytes]:
        yield b"\x1aE\xdf\xa3"
        yield b""
        yield b"rest"

    return {"ContentType": "video/webm", "Payload": chunks()}


@pytest.fixture
def seen() -> Seen:
    return {}


@pytest.fixture
async def url(serve: Serve, seen: Seen) -> str:
    services = (rekognition, kinesis, video, media)
    return await serve(*(service.bind(seen) for service in services))


async def test_nested_structures_maps_and_floats_arrive(
    url: str, seen: Seen, client: Client, call: Call
) -> None:
    request = {
        "Name": "door-1",
        "Input": {
            "KinesisVideoStream": {"Arn": "arn:aws:kinesisvideo:eu-west-1:000000000000:stream/a/1"}
        },
        "Output": {"KinesisDataStream": {"Arn": "arn:aws:kinesis:eu-west-1:000000000000:stream/b"}},
        "Settings": {"FaceSearch": {"CollectionId": "family", "FaceMatchThreshold": 85.5}},
        "RoleArn": "arn:aws:iam::000000000000:role/r",
        "Tags": {"team": "Straße 7"},
        "RegionsOfInterest": [{"BoundingBox": {"Left": 0.0, "Top": 0.25}}],
        "DataSharingPreference": {"OptIn": False},
    }
    answer = await call(client("rekognition", url).create_stream_processor, **request)
    assert seen["request"] == request
    assert isinstance(seen["request"]["RegionsOfInterest"][0]["BoundingBox"]["Left"], float)
    assert answer["StreamProcessorArn"] == "arn:aws:rekognition:…"


async def test_an_integer_is_a_float_where_the_model_says_float(
    url: str, seen: Seen, fetch: Fetch
) -> None:
    body: dict[str, Any] = {"CollectionId": "c", "FaceId": FACE_ID}
    headers = {"X-Amz-Target": "RekognitionService.SearchFaces"}
    await fetch(
        "POST", url, json=body | {"FaceMatchThreshold": 80, "MaxFaces": 5.0}, headers=headers
    )
    assert (seen["request"]["FaceMatchThreshold"], seen["request"]["MaxFaces"]) == (80.0, 5)
    assert isinstance(seen["request"]["FaceMatchThreshold"], float)
    assert isinstance(seen["request"]["MaxFaces"], int)


async def test_the_context_says_who_asks_for_what(
    url: str, seen: Seen, client: Client, call: Call
) -> None:
    answer = await call(
        client("rekognition", url, region="ap-south-1").describe_collection, CollectionId="c"
    )
    context: RequestContext = seen["context"]
    assert context == RequestContext(
        service="rekognition",
        operation="DescribeCollection",
        region="ap-south-1",
        account_id="111122223333",
        request_id=answer["ResponseMetadata"]["RequestId"],
    )


async def test_an_unsigned_request_is_of_the_default_region(
    url: str, seen: Seen, fetch: Fetch
) -> None:
    headers = {"X-Amz-Target": "RekognitionService.DescribeCollection"}
    answer = await fetch("POST", url, json={"CollectionId": "c"}, headers=headers)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    context: RequestContext = seen["context"]
    assert context.region == "us-east-1"


async def test_answers_are_compact_json_with_epoch_seconds(url: str, fetch: Fetch) -> None:
    headers = {"X-Amz-Target": "RekognitionService.DescribeCollection"}
    answer = await fetch("POST", url, json={"CollectionId": "c"}, headers=headers)
    assert answer.body.decode() == (
        '{"FaceCount":3,"FaceModelVersion":"5.0","CreationTimestamp":1533422155.043}'
    )


async def test_times_and_floats_come_back(url: str, client: Client, call: Call) -> None:
    face = client("rekognition", url)
    collection = await call(face.describe_collection, CollectionId="c")
    assert collection["CreationTimestamp"].timestamp() == pytest.approx(1533422155.043)
    found = await call(
        face.search_faces, CollectionId="c", FaceId="0" * 8 + "-0000" * 3 + "-" + "0" * 12
    )
    assert found["FaceMatches"] == ANSWERS["SearchFaces"]["FaceMatches"]


async def test_blobs_lists_and_longs_travel_both_ways(
    url: str, seen: Seen, client: Client, call: Call
) -> None:
    data = client("kinesis", url)
    records = [{"Data": bytes([n]) * n, "PartitionKey": f"key {n} 鍵"} for n in range(3)]
    answer = await call(data.put_records, StreamName="s", Records=records)
    assert seen["request"]["Records"] == records
    assert answer["FailedRecordCount"] == 0
    got = await call(data.get_records, ShardIterator="i", Limit=10)
    assert got["Records"][0]["Data"] == bytes(range(256))
    assert got["Records"][0]["ApproximateArrivalTimestamp"].timestamp() == 1700000000
    assert got["MillisBehindLatest"] == 2**40


async def test_a_time_arrives_as_epoch_seconds_with_its_fraction(
    url: str, seen: Seen, client: Client, call: Call
) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
    await call(
        client("kinesis", url).get_shard_iterator,
        StreamName="s",
        ShardId="shardId-000000000000",
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=at,
    )
    assert seen["request"]["Timestamp"] == pytest.approx(at.timestamp(), abs=1e-6)
    selector = {"StartSelectorType": "SERVER_TIMESTAMP", "StartTimestamp": at}
    await call(client("kinesis-video-media", url).get_media, StreamName="s", StartSelector=selector)
    assert seen["request"]["StartSelector"]["StartTimestamp"] == pytest.approx(at.timestamp())


async def test_operations_of_one_name_are_told_apart_by_service(
    url: str, seen: Seen, client: Client, call: Call
) -> None:
    await call(client("kinesis", url).delete_stream, StreamName="s")
    assert seen["context"].service == "kinesis"
    arn = "arn:aws:kinesisvideo:eu-west-1:000000000000:stream/a/1"
    await call(client("kinesisvideo", url).delete_stream, StreamARN=arn)
    assert seen["context"].service == "kinesisvideo"


async def test_rest_json_bodies_travel_both_ways(
    url: str, seen: Seen, client: Client, call: Call
) -> None:
    streams = client("kinesisvideo", url)
    described = await call(streams.describe_stream, StreamName="s")
    assert seen["request"] == {"StreamName": "s"}
    assert described["StreamInfo"] == {"StreamName": "s", "DataRetentionInHours": 0}
    assert described["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"
    tags = await call(streams.list_tags_for_stream, StreamName="s")
    assert tags["Tags"] == {"team": "Straße", "empty": ""}


async def test_a_streaming_answer_has_the_type_that_the_handler_names(
    url: str, client: Client, call: Call
) -> None:
    answer = await call(
        client("kinesis-video-media", url).get_media,
        StreamName="s",
        StartSelector={"StartSelectorType": "NOW"},
    )
    assert answer["ContentType"] == "video/webm"
    assert answer["ResponseMetadata"]["RequestId"]
    assert await call(answer["Payload"].read) == b"\x1aE\xdf\xa3rest"


async def test_null_is_absent_and_unknown_members_are_ignored(
    url: str, seen: Seen, fetch: Fetch
) -> None:
    body = {"StreamName": "s", "StreamARN": None, "Colour": {"deep": [1]}}
    answer = await fetch("POST", f"{url}/describeStream", json=body)
    assert answer.status == 200
    assert seen["request"] == {"StreamName": "s"}


async def test_an_empty_body_is_an_empty_object(url: str, seen: Seen, fetch: Fetch) -> None:
    answer = await fetch("POST", f"{url}/describeStream")
    assert answer.status == 200
    assert seen["request"] == {}


async def test_a_client_with_parameter_validation_and_retries_is_content_too(
    url: str, client: Client, call: Call
) -> None:
    plain = client("rekognition", url, config=Config())
    assert (await call(plain.delete_collection, CollectionId="c"))["StatusCode"] == 200


async def test_options_and_head_are_answered(url: str, fetch: Fetch) -> None:
    options = await fetch("OPTIONS", f"{url}/getMedia")
    assert (options.status, options.headers["Allow"]) == (204, "OPTIONS, POST")
    head = await fetch("HEAD", url)
    assert head.status == 404
    assert head.headers["x-amzn-RequestId"]


async def test_routes_of_others_come_first_and_take_nothing_else_away(
    seen: Seen, fetch: Fetch
) -> None:
    async def console(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = build_app(
        [rekognition.bind(seen)], account_id="0" * 12, region="us-east-1", request_bytes_max=1000
    )
    app.router.add_get("/", console)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    headers = {"X-Amz-Target": "RekognitionService.DescribeCollection"}
    assert (await fetch("GET", url)).body == b"hello"
    assert (await fetch("POST", url, json={"CollectionId": "c"}, headers=headers)).status == 200
    await runner.cleanup()
