"""Every bad request gets a modelled error in plain words, and a mistake of ours gets logged."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import ServiceError

Serve = Callable[..., Awaitable[str]]
Fetch = Callable[..., Awaitable[Any]]
Client = Callable[..., Any]
Call = Callable[..., Awaitable[Any]]
Raise = dict[str, Exception]  # what the next call of an operation raises

rekognition = Service[Raise]("rekognition", validation_error="InvalidParameterException")
kinesis = Service[Raise]("kinesis", validation_error="ValidationException")
video = Service[Raise]("kinesisvideo", validation_error="InvalidArgumentException")


def fail_on_demand(service: Service[Raise], name: str) -> None:
    @service.operation(name)
    async def handle(failures: Raise, request: dict[str, Any], context: RequestContext) -> Any:
        if name in failures:
            raise failures[name]
        return {}


for service, names in {
    rekognition: ("CreateStreamProcessor", "DescribeCollection", "TagResource", "DetectFaces"),
    kinesis: ("PutRecord", "PutRecords", "DescribeStream"),
    video: ("DescribeStream", "CreateStream"),
}.items():
    for name in names:
        fail_on_demand(service, name)


@rekognition.operation("ListFaces")
async def list_faces(
    failures: Raise, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    return {"Faces": [], "Colour": "red"}


@pytest.fixture
def failures() -> Raise:
    return {}


@pytest.fixture
async def url(serve: Serve, failures: Raise) -> str:
    return await serve(*(service.bind(failures) for service in (rekognition, kinesis, video)))


ARN = "arn:aws:rekognition:us-east-1:000000000000:streamprocessor/a"


def processor(**changes: Any) -> dict[str, Any]:
    valid = {
        "Name": "door",
        "Input": {},
        "Output": {},
        "Settings": {"FaceSearch": {"CollectionId": "c", "FaceMatchThreshold": 70.0}},
        "RoleArn": "arn:aws:iam::000000000000:role/r",
    }
    return valid | changes


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            processor(Settings={"FaceSearch": {"FaceMatchThreshold": 101.0}}),
            "1 validation error detected: Value '101' at 'Settings.FaceSearch.FaceMatchThreshold'"
            " failed to satisfy constraint: Member must have value less than or equal to 100",
        ),
        (
            processor(Settings={"FaceSearch": {"FaceMatchThreshold": -0.5}}),
            "Value '-0.5' at 'Settings.FaceSearch.FaceMatchThreshold' failed to satisfy "
            "constraint: Member must have value greater than or equal to 0",
        ),
        (
            processor(Name="front door"),
            "Value 'front door' at 'Name' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z0-9_.\\-]+",
        ),
        (
            processor(Name=""),
            "'Name' failed to satisfy constraint: Member must have length greater than or equal",
        ),
        (
            processor(Name="x" * 129),
            f"Value '{'x' * 64}… (129 characters)' at 'Name' failed to satisfy constraint: "
            "Member must have length less than or equal to 128",
        ),
        (
            processor(Tags={"aws:mine": "v"}),
            "Value 'aws:mine' at 'Tags key' failed to satisfy constraint: Member must satisfy",
        ),
        (processor(Tags={"k": "v" * 257}), "at 'Tags.k' failed to satisfy constraint: Member must"),
        (
            processor(Tags={str(n): "" for n in range(201)}),
            "Value '<object of 201 members>' at 'Tags' failed to satisfy constraint: Member must "
            "have size less than or equal to 200",
        ),
        (
            processor(RegionsOfInterest=[{"Polygon": [{"X": 0.5}] * 3}] * 11),
            "Value '<list of 11 items>' at 'RegionsOfInterest' failed to satisfy constraint: "
            "Member must have length less than or equal to 10",
        ),
        (
            processor(Settings={"ConnectedHome": {"Labels": []}}),
            "Value '<list of 0 items>' at 'Settings.ConnectedHome.Labels' failed to satisfy "
            "constraint: Member must have length greater than or equal to 1",
        ),
        (
            processor(Name="front\n\x1b[2Jdoor"),
            "Value 'front\\n\\x1b[2Jdoor' at 'Name' failed to satisfy constraint: Member must",
        ),
    ],
)
async def test_each_constraint_names_member_value_and_rule(
    url: str, client: Client, call: Call, request_: dict[str, Any], message: str
) -> None:
    face = client("rekognition", url)
    with pytest.raises(face.exceptions.InvalidParameterException) as refused:
        await call(face.create_stream_processor, **request_)
    assert message in refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


async def test_missing_members_are_all_named(url: str, client: Client, call: Call) -> None:
    face = client("rekognition", url)
    with pytest.raises(face.exceptions.InvalidParameterException) as refused:
        await call(face.create_stream_processor, Name="a", Input={}, Settings={})
    assert refused.value.response["Error"]["Message"] == (
        "2 validation errors detected: Value null at 'Output' failed to satisfy constraint: "
        "Member must not be null; Value null at 'RoleArn' failed to satisfy constraint: "
        "Member must not be null"
    )


async def test_enums_blobs_and_list_items_are_checked(url: str, client: Client, call: Call) -> None:
    data = client("kinesis", url)
    with pytest.raises(data.exceptions.ValidationException) as refused:
        await call(data.put_records, StreamName="s", Records=[{"PartitionKey": "k"}])
    assert "Value null at 'Records[0].Data'" in refused.value.response["Error"]["Message"]
    streams = client("kinesisvideo", url)
    storage = {"DefaultStorageTier": "LUKEWARM"}
    with pytest.raises(streams.exceptions.InvalidArgumentException) as refused:
        await call(streams.create_stream, StreamName="s", StreamStorageConfiguration=storage)
    assert "Member must satisfy enum value set: [HOT, WARM]" in str(refused.value)


async def test_a_blob_out_of_bounds_is_told_by_its_size_only(
    serve: Serve, client: Client, call: Call
) -> None:
    url = await serve(rekognition.bind({}), request_bytes_max=10_000_000)
    face = client("rekognition", url)
    with pytest.raises(face.exceptions.InvalidParameterException) as refused:
        await call(face.detect_faces, Image={"Bytes": b"x" * 5242881})
    assert "Value '<5242881 bytes>' at 'Image.Bytes'" in str(refused.value)


async def test_a_list_is_looked_into_no_further_than_it_may_be_long(
    url: str, client: Client, call: Call
) -> None:
    """Else one request of a million short items would hold everyone else up for seconds."""
    data = client("kinesis", url)
    records: list[dict[str, Any]] = [{"Data": b"x", "PartitionKey": "k"}] * 500 + [{}]
    with pytest.raises(data.exceptions.ValidationException) as refused:
        await call(data.put_records, StreamName="s", Records=records)
    message = refused.value.response["Error"]["Message"]
    assert message == (
        "1 validation error detected: Value '<list of 501 items>' at 'Records' failed to satisfy "
        "constraint: Member must have length less than or equal to 500"
    )


async def test_many_problems_are_cut_short(url: str, client: Client, call: Call) -> None:
    data = client("kinesis", url)
    with pytest.raises(data.exceptions.ValidationException) as refused:
        await call(data.put_records, StreamName="s", Records=[{}] * 500)
    message = refused.value.response["Error"]["Message"]
    assert message.startswith("More than 10 validation errors detected: ")
    assert message.count("must not be null") == 10


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code", "status"),
    [
        (
            "rekognition",
            "describe_collection",
            {"CollectionId": "c"},
            "ResourceNotFoundException",
            400,
        ),
        ("rekognition", "describe_collection", {"CollectionId": "c"}, "ThrottlingException", 500),
        ("kinesis", "describe_stream", {"StreamName": "s"}, "ResourceNotFoundException", 400),
        ("kinesis", "describe_stream", {"StreamName": "s"}, "LimitExceededException", 400),
        ("kinesisvideo", "describe_stream", {"StreamName": "s"}, "ResourceNotFoundException", 404),
        ("kinesisvideo", "describe_stream", {"StreamName": "s"}, "NotAuthorizedException", 401),
    ],
)
async def test_a_handlers_error_is_the_clients_exception_with_the_models_status(
    url: str,
    failures: Raise,
    client: Client,
    call: Call,
    service: str,
    operation: str,
    request_: dict[str, Any],
    code: str,
    status: int,
) -> None:
    name = "".join(part.capitalize() for part in operation.split("_"))
    failures[name] = ServiceError("There is no such thing: 'ding'.", code=code)
    caller = client(service, url)
    with pytest.raises(getattr(caller.exceptions, code)) as raised:
        await call(getattr(caller, operation), **request_)
    answer = raised.value.response
    assert answer["Error"]["Message"] == "There is no such thing: 'ding'."
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"] == code
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


async def test_an_error_that_the_model_does_not_list_is_sent_and_warned_of_once(
    url: str, failures: Raise, client: Client, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    failures["DescribeCollection"] = ServiceError("too big", code="VideoTooLargeException")
    face = client("rekognition", url)
    for _ in range(2):
        with pytest.raises(face.exceptions.VideoTooLargeException):
            await call(face.describe_collection, CollectionId="c")
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "rekognition DescribeCollection answers VideoTooLargeException, "
        "which its model does not list"
    ]


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code"),
    [
        ("rekognition", "describe_collection", {"CollectionId": "c"}, "InternalServerError"),
        ("kinesis", "describe_stream", {"StreamName": "s"}, "InternalFailureException"),
        ("kinesisvideo", "describe_stream", {"StreamName": "s"}, "InternalFailure"),
    ],
)
async def test_an_unexpected_exception_is_logged_and_its_inside_kept_back(
    url: str,
    failures: Raise,
    client: Client,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    service: str,
    operation: str,
    request_: dict[str, Any],
    code: str,
) -> None:
    name = "".join(part.capitalize() for part in operation.split("_"))
    failures[name] = RuntimeError("database password is hunter2")
    with pytest.raises(ClientError) as raised:
        await call(getattr(client(service, url), operation), **request_)
    answer = raised.value.response
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, 500)
    assert request_id in answer["Error"]["Message"]
    assert "hunter2" not in answer["Error"]["Message"]
    assert f"{service} {name} failed, request id {request_id}" in caplog.text
    assert "hunter2" in caplog.text


async def test_an_output_member_that_the_model_lacks_is_our_mistake(
    url: str, client: Client, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    face = client("rekognition", url)
    with pytest.raises(face.exceptions.InternalServerError):
        await call(face.list_faces, CollectionId="c")
    assert "output members ['Colour'] are not in shape ListFacesResponse" in caplog.text


async def test_an_operation_nobody_serves_is_named_with_those_that_are(
    url: str, client: Client, call: Call
) -> None:
    with pytest.raises(ClientError) as refused:
        await call(client("rekognition", url).list_collections)
    answer = refused.value.response
    assert answer["Error"]["Code"] == "UnknownOperationException"
    assert answer["Error"]["Message"] == (
        "rekognition ListCollections is not served here. Operations of rekognition that are: "
        "CreateStreamProcessor, DescribeCollection, DetectFaces, ListFaces, TagResource."
    )


async def post(fetch: Fetch, url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    sent = {
        "X-Amz-Target": "RekognitionService.DescribeCollection",
        "Content-Type": "application/x-amz-json-1.1",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await fetch("POST", url, data=body, headers=sent)
    assert answer.headers["x-amzn-RequestId"]
    error = answer.json()
    assert error["message"] == error["Message"]
    assert error["__type"] == answer.headers["x-amzn-ErrorType"]
    return answer.status, error


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"CollectionId": "a"', "not JSON"),
        (b"\xff\xfe", "not UTF-8: invalid start byte at byte 0"),
        (b"[1]", "Value '<list of 1 items>' of the body must be an object"),
        (b"null", "Value null of the body must be an object"),
        (b'{"CollectionId": 5}', "Value '5' at 'CollectionId' must be a string"),
        (
            b'{"CollectionId": ["a"]}',
            "Value '<list of 1 items>' at 'CollectionId' must be a string",
        ),
        (b'{"CollectionId": "\\ud800"}', "must be a string of Unicode characters"),
        (b'{"CollectionId": NaN}', "NaN is not a JSON number"),
        (b'{"CollectionId": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"x":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
async def test_a_broken_body_is_a_serialization_error(
    url: str, fetch: Fetch, body: bytes, words: str
) -> None:
    status, error = await post(fetch, url, body)
    assert (status, error["__type"]) == (400, "SerializationException")
    assert words in error["message"]
    assert len(error["message"]) < 300


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("application/x-amz-cbor-1.1", "AWS_CBOR_DISABLE=true"),
        ("text/plain", "Content-Type 'text/plain' is not JSON"),
        ("application/x-www-form-urlencoded", "is not JSON"),
    ],
)
async def test_other_kinds_of_body_are_refused_with_the_remedy(
    url: str, fetch: Fetch, content_type: str, words: str
) -> None:
    status, error = await post(fetch, url, b'{"CollectionId": "a"}', Content_Type=content_type)
    assert (status, error["__type"]) == (400, "SerializationException")
    assert words in error["message"]


async def test_a_malformed_signature_is_refused_before_anything_else(
    url: str, fetch: Fetch
) -> None:
    status, error = await post(fetch, url, b"{}", Authorization="AWS4-HMAC-SHA256 Credential=a")
    assert (status, error["__type"]) == (400, "IncompleteSignatureException")
    assert "Authorization header lacks SignedHeaders" in error["message"]


@pytest.mark.parametrize(
    ("origin", "comes_in"),
    [
        # What a browser sends for a page whose name was made to stand for 127.0.0.1.
        ("http://rebound.example:8080", False),
        ("http://127.0.0.1.example", False),
        ("http://localhost.example", False),
        ("http://192.0.2.7:8080", False),
        ("null", False),
        ("http://[", False),
        ("", False),
        ("http://127.0.0.1:3000", True),
        ("http://localhost:3000", True),
        ("http://[::1]:3000", True),
    ],
)
async def test_where_nobody_is_asked_for_a_key_only_this_machine_s_pages_come_in(
    url: str, fetch: Fetch, origin: str, comes_in: bool
) -> None:
    headers = {
        "Origin": origin,
        "X-Amz-Target": "RekognitionService.DescribeCollection",
        "Content-Type": "application/x-amz-json-1.1",
    }
    answer = await fetch("POST", url, data=b'{"CollectionId": "a"}', headers=headers)
    assert (answer.status == 200) == comes_in
    if not comes_in:
        assert answer.json()["__type"] == "AccessDeniedException"
        assert "auth.required" in answer.json()["message"]


async def test_an_unknown_path_is_a_short_json_error(url: str, fetch: Fetch) -> None:
    for path in ("/", "/favicon.ico", "/a%ff/..%2f?x=%zz"):
        answer = await fetch("GET", url + path)
        assert answer.status == 404
        assert answer.json()["__type"] == "UnknownOperationException"


async def test_a_body_too_large_is_refused_early(url: str, fetch: Fetch) -> None:
    status, error = await post(fetch, url, b"x" * 1_000_001)
    assert (status, error["__type"]) == (413, "RequestEntityTooLargeException")
    assert "1000000 bytes" in error["message"]


async def test_a_chunked_body_too_large_is_refused_when_it_becomes_so(
    url: str, http: aiohttp.ClientSession
) -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)

    target = {"X-Amz-Target": "RekognitionService.DescribeCollection"}
    answer = await http.post(url, data=endless(), headers=target)
    assert answer.status == 413
    answer.close()
