"""The same service asked over the wire and from inside: no caller can tell which it was."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.response import AioReadTimeoutError
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, ReadTimeoutError

from streamproc.errors import StoreUnavailable
from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import InvalidImageFormat, ServiceError
from streamproc.gateway.inside import InsideServices
from streamproc.kvs import failures
from streamproc.model.caller import ANYONE, Caller, Right

Serve: TypeAlias = Callable[..., Awaitable[str]]
Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

ACCOUNT, REGION = "111122223333", "eu-west-1"
SESSION = get_session()  # keeps the models it has loaded
ARN = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/faces"
NOW = {"StreamName": "door", "StartSelector": {"StartSelectorType": "NOW"}}


@dataclass
class House:
    """What the handlers saw and shall do."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[RequestContext] = field(default_factory=list)
    failure: Exception | None = None
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    chunks: tuple[bytes, ...] = ()
    then: str = "end"  # of a stream, behind its chunks: end, silence or break
    taken: int = 0
    open: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def asked(self, request: dict[str, Any], context: RequestContext) -> None:
        self.requests.append(request)
        self.contexts.append(context)
        self.arrived.set()
        if self.failure is not None:
            raise self.failure
        await self.may_answer.wait()


data = Service[House]("kinesis", validation_error="ValidationException")
media = Service[House]("kinesis-video-media", validation_error="InvalidArgumentException")


@data.operation("PutRecords")
async def put_records(
    house: House, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    await house.asked(request, context)
    stored = [
        {"ShardId": "shardId-000000000000", "SequenceNumber": str(number + 1), "ErrorCode": None}
        for number, _ in enumerate(request["Records"])
    ]
    return {"FailedRecordCount": 0, "EncryptionType": None, "Records": stored}


@data.operation("DescribeStreamSummary")
async def describe_stream_summary(
    house: House, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    await house.asked(request, context)
    summary = {
        "StreamName": "faces",
        "StreamARN": ARN,
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 1_700_000_000.1239,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "OpenShardCount": 1,
        "KeyId": None,
    }
    return {"StreamDescriptionSummary": summary}


class Chunks(AsyncIterator[bytes]):
    """A place on the stream, as local's sessions are one."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._left = list(house.chunks)
        self._is_open = True
        house.open += 1

    async def __anext__(self) -> bytes:
        if self._left:
            self._house.taken += 1
            return self._left.pop(0)
        if self._house.then == "silence":
            await asyncio.Event().wait()
        if self._house.then == "break":
            raise RuntimeError("disk on fire")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._house.open -= self._is_open
        self._is_open = False
        self._house.closed.set()


@media.operation("GetMedia")
async def get_media(
    house: House, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    await house.asked(request, context)
    return {"ContentType": "video/webm", "Payload": Chunks(house)}


@pytest.fixture
async def house() -> House:
    made = House()
    made.may_answer.set()
    return made


def inside(house: House, caller: Caller = ANYONE) -> InsideServices:
    bound = [data.bind(house), media.bind(house)]
    return InsideServices(bound, account_id=ACCOUNT, caller=caller)


@pytest.fixture(params=["wire", "inside"])
def open_client(request: pytest.FixtureRequest, house: House, serve: Serve) -> Open:
    """A client of one of the services, either way."""

    @asynccontextmanager
    async def opened(service: str, *, read_timeout_s: float = 60.0) -> AsyncIterator[Any]:
        if request.param == "inside":
            yield inside(house).client(service, REGION, read_timeout_s=read_timeout_s)
            return
        config = AioConfig(
            read_timeout=read_timeout_s, parameter_validation=False,
            retries={"max_attempts": 0},
        )  # fmt: skip
        async with SESSION.create_client(
            service, endpoint_url=await serve(data.bind(house), media.bind(house)),
            region_name=REGION, aws_access_key_id="any", aws_secret_access_key="any",
            config=config,
        ) as client:  # fmt: skip
            yield client

    return opened


# --- calls -----------------------------------------------------------------------------------


async def test_records_arrive_as_they_were_given(open_client: Open, house: House) -> None:
    records = [
        {"Data": bytes([number, 0, 255]), "PartitionKey": f"key {number}"} for number in range(3)
    ]
    async with open_client("kinesis") as client:
        answer = await client.put_records(StreamARN=ARN, Records=records)
    assert house.requests == [{"StreamARN": ARN, "Records": records}]
    assert answer["FailedRecordCount"] == 0
    assert [result["SequenceNumber"] for result in answer["Records"]] == ["1", "2", "3"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


async def test_an_answer_has_instants_and_nothing_that_is_none(open_client: Open) -> None:
    async with open_client("kinesis") as client:
        answer = await client.describe_stream_summary(StreamARN=ARN)
        put = await client.put_records(
            StreamARN=ARN, Records=[{"Data": b"", "PartitionKey": "cam"}]
        )
    summary = answer["StreamDescriptionSummary"]
    created = datetime(2023, 11, 14, 22, 13, 20, 124_000, tzinfo=UTC)
    assert summary.pop("StreamCreationTimestamp") == created
    assert summary == {
        "StreamName": "faces",
        "StreamARN": ARN,
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "OpenShardCount": 1,
    }
    assert set(put) == {"FailedRecordCount", "Records", "ResponseMetadata"}
    assert set(put["Records"][0]) == {"ShardId", "SequenceNumber"}


async def test_a_handler_hears_where_and_what_is_asked(open_client: Open, house: House) -> None:
    async with open_client("kinesis") as client:
        answer = await client.describe_stream_summary(StreamARN=ARN)
    context = house.contexts[0]
    assert (context.service, context.operation) == ("kinesis", "DescribeStreamSummary")
    assert (context.region, context.account_id) == (REGION, ACCOUNT)
    assert answer["ResponseMetadata"]["RequestId"] == context.request_id


async def test_an_instant_is_asked_for_in_seconds(open_client: Open, house: House) -> None:
    at = {
        "StartSelectorType": "SERVER_TIMESTAMP",
        "StartTimestamp": datetime(2026, 1, 31, tzinfo=UTC),
    }
    async with open_client("kinesis-video-media") as client:
        answer = await client.get_media(StreamName="door", StartSelector=at)
        async with answer["Payload"] as payload:
            assert await payload.read(1024) == b""
    assert answer["ContentType"] == "video/webm"
    [request] = house.requests
    assert request["StartSelector"]["StartTimestamp"] == 1_769_817_600.0


async def test_inside_an_instant_keeps_its_fraction_of_a_second(house: House) -> None:
    at = {
        "StartSelectorType": "SERVER_TIMESTAMP",
        "StartTimestamp": datetime.fromtimestamp(1_700_000_000.125, UTC),
    }
    client = inside(house).client("kinesis-video-media", REGION, read_timeout_s=60)
    await client.get_media(StreamName="door", StartSelector=at)
    assert house.requests[0]["StartSelector"]["StartTimestamp"] == 1_700_000_000.125


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ResourceNotFoundException", 400),
        ("ProvisionedThroughputExceededException", 400),
        ("InvalidArgumentException", 400),
        ("KMSDisabledException", 400),
        ("InternalFailureException", 500),
    ],
)
async def test_an_error_has_its_code_its_words_and_its_status(
    open_client: Open, house: House, code: str, status: int
) -> None:
    house.failure = ServiceError("in so many words", code=code)
    async with open_client("kinesis") as client:
        with pytest.raises(ClientError) as refused:
            await client.describe_stream_summary(StreamARN=ARN)
    error = refused.value
    assert error.operation_name == "DescribeStreamSummary"
    assert error.response["Error"]["Code"] == code
    assert error.response["Error"]["Message"] == "in so many words"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("code", "status", "is_missing", "is_denied"),
    [
        ("ResourceNotFoundException", 404, True, False),
        ("NotAuthorizedException", 401, False, True),
        ("ClientLimitExceededException", 400, False, False),
    ],
)
async def test_a_reader_of_video_tells_them_apart(
    open_client: Open, house: House, code: str, status: int, is_missing: bool, is_denied: bool
) -> None:
    house.failure = ServiceError("no", code=code)
    async with open_client("kinesis-video-media") as client:
        with pytest.raises(ClientError) as refused:
            await client.get_media(**NOW)
    error = refused.value
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert failures.is_missing(error) is is_missing
    assert failures.is_denied(error) is is_denied
    assert failures.words(error) == f"Kinesis Video answers {code}, trying again: no"


async def test_what_breaks_the_model_s_rules_does_not_reach_the_handler(
    open_client: Open, house: House
) -> None:
    async with open_client("kinesis") as client:
        with pytest.raises(ClientError) as refused:
            await client.put_records(StreamARN=ARN, Records=[])
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "1 validation error detected: Value '<list of 0 items>' at 'Records' failed "
        "to satisfy constraint: Member must have length greater than or equal to 1",
    }
    assert house.requests == []


async def test_a_disk_that_refuses_is_said_in_its_own_words(
    open_client: Open, house: House
) -> None:
    house.failure = StoreUnavailable("data.db cannot be written (No space left on device)")
    async with open_client("kinesis") as client:
        with pytest.raises(ClientError) as refused:
            await client.describe_stream_summary(StreamARN=ARN)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert refused.value.response["Error"] == {
        "Code": "InternalFailureException",
        "Message": "data.db cannot be written (No space left on device).",
    }


async def test_a_mistake_of_ours_is_logged_and_its_inside_kept_back(
    open_client: Open, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.failure = RuntimeError("disk on fire")
    async with open_client("kinesis") as client:
        with pytest.raises(ClientError, match="Internal error") as refused:
            await client.describe_stream_summary(StreamARN=ARN)
    request_id = refused.value.response["ResponseMetadata"]["RequestId"]
    assert request_id in str(refused.value)
    assert "disk on fire" not in str(refused.value)
    assert f"kinesis DescribeStreamSummary failed, request id {request_id}" in caplog.text
    assert "disk on fire" in caplog.text


async def test_an_error_that_the_model_does_not_list_is_warned_of_once(
    open_client: Open, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.failure = InvalidImageFormat("no picture")
    async with open_client("kinesis") as client:
        for _ in range(2):
            with pytest.raises(ClientError, match="InvalidImageFormatException"):
                await client.describe_stream_summary(StreamARN=ARN)
    assert caplog.text.count("answers InvalidImageFormatException, which its model") == 1


async def test_a_call_that_gets_no_answer_is_given_up(open_client: Open, house: House) -> None:
    house.may_answer.clear()
    async with open_client("kinesis", read_timeout_s=0.05) as client:
        with pytest.raises(ReadTimeoutError):
            await client.describe_stream_summary(StreamARN=ARN)
    house.may_answer.set()  # to a server that carries on, nobody waiting


@dataclass(frozen=True)
class Stranger:
    """Who may describe, and nothing else."""

    arn: str = "arn:aws:iam::111122223333:role/stranger"
    is_valid: bool = True

    def refusal(self, right: Right) -> str:
        return "" if right.action == "kinesis:DescribeStreamSummary" else f"no {right.action}"


async def test_a_caller_does_nothing_that_it_has_no_right_to(house: House) -> None:
    client = inside(house, Stranger()).client("kinesis", REGION, read_timeout_s=60)
    await client.describe_stream_summary(StreamARN=ARN)
    records = [{"Data": b"", "PartitionKey": "cam"}]
    with pytest.raises(ClientError) as refused:
        await client.put_records(StreamARN=ARN, Records=records)
    assert refused.value.response["Error"] == {
        "Code": "AccessDeniedException",
        "Message": "no kinesis:PutRecords",
    }
    assert [context.operation for context in house.contexts] == ["DescribeStreamSummary"]


async def test_a_call_is_cancelled_with_its_caller(house: House) -> None:
    house.may_answer.clear()
    client = inside(house).client("kinesis", REGION, read_timeout_s=60)
    task = asyncio.create_task(client.describe_stream_summary(StreamARN=ARN))
    async with asyncio.timeout(60):
        await house.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_is_not_served_here_is_named(house: House) -> None:
    services = inside(house)
    with pytest.raises(LookupError, match="kinesisvideo is not served in this process"):
        services.client("kinesisvideo", REGION, read_timeout_s=60)
    client = services.client("kinesis", REGION, read_timeout_s=60)
    with pytest.raises(AttributeError, match="kinesis has no create_stream here; put_records"):
        client.create_stream  # noqa: B018


# --- streams ---------------------------------------------------------------------------------


async def read_all(payload: Any, size: int) -> bytes:
    received = bytearray()
    while chunk := await payload.read(size):
        assert len(chunk) <= size
        received += chunk
    return bytes(received)


@pytest.mark.parametrize("size", [1, 7, 1000, 65536])
async def test_a_stream_is_read_in_pieces_of_any_size(
    open_client: Open, house: House, size: int
) -> None:
    house.chunks = (b"", b"abc", b"", bytes(range(256)) * 8, b"z")
    async with open_client("kinesis-video-media") as client:
        answer = await client.get_media(**NOW)
        async with answer["Payload"] as payload:
            assert await read_all(payload, size) == b"".join(house.chunks)
            assert await payload.read(size) == b"", "the end stays the end"
        async with asyncio.timeout(60):
            await house.closed.wait()
    assert house.open == 0


async def test_two_readers_do_not_disturb_each_other(open_client: Open, house: House) -> None:
    house.chunks = (b"abc", b"def")
    async with open_client("kinesis-video-media") as client:
        first, second = [(await client.get_media(**NOW))["Payload"] for _ in range(2)]
        async with first, second:
            read = list(await asyncio.gather(read_all(first, 2), read_all(second, 5)))
    assert read == [b"abcdef", b"abcdef"]


async def test_silence_is_told_and_what_came_before_it_is_delivered(
    open_client: Open, house: House
) -> None:
    house.chunks, house.then = (b"abc",), "silence"
    async with open_client("kinesis-video-media", read_timeout_s=0.1) as client:
        answer = await client.get_media(**NOW)
        async with answer["Payload"] as payload:
            assert await payload.read(10) == b"abc"
            for _ in range(2):
                with pytest.raises(AioReadTimeoutError):
                    await payload.read(10)
        async with asyncio.timeout(60):
            await house.closed.wait()
    assert house.open == 0


async def test_a_stream_that_breaks_never_looks_like_its_end(
    open_client: Open, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.chunks, house.then = (b"abc",), "break"
    async with open_client("kinesis-video-media") as client:
        answer = await client.get_media(**NOW)
        async with answer["Payload"] as payload:
            with pytest.raises(failures.TROUBLE) as broken:
                await read_all(payload, 10)
            assert not isinstance(broken.value, AioReadTimeoutError)
            with pytest.raises(failures.TROUBLE):
                await payload.read(10)
    assert "disk on fire" in caplog.text
    assert house.open == 0


async def test_a_reader_that_leaves_frees_its_place(open_client: Open, house: House) -> None:
    house.then = "silence"
    async with open_client("kinesis-video-media") as client:
        answer = await client.get_media(**NOW)
        async with answer["Payload"]:
            assert house.open == 1
        async with asyncio.timeout(60):
            await house.closed.wait()
    assert house.open == 0


async def test_a_reader_that_is_cancelled_frees_its_place(open_client: Open, house: House) -> None:
    house.chunks, house.then = (b"abc",), "silence"
    reading = asyncio.Event()

    async def read() -> None:
        async with open_client("kinesis-video-media") as client:
            answer = await client.get_media(**NOW)
            async with answer["Payload"] as payload:
                await payload.read(10)
                reading.set()
                await payload.read(10)

    task = asyncio.create_task(read())
    async with asyncio.timeout(60):
        await reading.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await house.closed.wait()
    assert house.open == 0


async def test_inside_nothing_is_taken_before_it_is_asked_for(house: House) -> None:
    house.chunks = (b"abcdef", b"ghi", b"jkl")
    client = inside(house).client("kinesis-video-media", REGION, read_timeout_s=60)
    async with (await client.get_media(**NOW))["Payload"] as payload:
        await asyncio.sleep(0)
        assert house.taken == 0
        assert [await payload.read(4), house.taken] == [b"abcd", 1]
        assert [await payload.read(4), house.taken] == [b"ef", 1]
        assert [await payload.read(4), house.taken] == [b"ghi", 2]


async def test_inside_a_read_that_was_cancelled_is_no_end(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.then = "silence"
    client = inside(house).client("kinesis-video-media", REGION, read_timeout_s=60)
    async with (await client.get_media(**NOW))["Payload"] as payload:
        task = asyncio.create_task(payload.read(10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(failures.TROUBLE, match="was cancelled"):
            await payload.read(10)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_inside_only_reads_that_wait_count_as_silence(house: House) -> None:
    house.chunks, house.then = (b"abc", b"def"), "silence"
    client = inside(house).client("kinesis-video-media", REGION, read_timeout_s=0.05)
    async with (await client.get_media(**NOW))["Payload"] as payload:
        assert await payload.read(3) == b"abc"
        await asyncio.sleep(0.1)  # the reader is busy with it for longer than it would wait
        assert await payload.read(3) == b"def"
        with pytest.raises(AioReadTimeoutError):
            await payload.read(3)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0, "the reader itself is not to end"
