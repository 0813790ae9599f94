"""The control plane, as boto3 sees it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.clock import FakeClock
from tests.local.kinesis_video.support import ACCOUNT, VideoService


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = refused.value.response["Error"]["Code"]
    return code


async def test_a_stream_is_described_as_it_was_created(
    timed: VideoService, fake_clock: FakeClock
) -> None:
    answer = await timed.call(
        "create_stream",
        StreamName="front.door_1",
        DeviceName="camera",
        MediaType="video/h264,audio/aac",
        DataRetentionInHours=24,
        Tags={"floor": "1"},
    )
    created_ms = int(fake_clock.now() * 1000)
    arn = f"arn:aws:kinesisvideo:us-east-1:{ACCOUNT}:stream/front.door_1/{created_ms}"
    assert answer["StreamARN"] == arn
    by_name = await timed.call("describe_stream", StreamName="front.door_1")
    assert (
        by_name["StreamInfo"] == (await timed.call("describe_stream", StreamARN=arn))["StreamInfo"]
    )
    info = by_name["StreamInfo"]
    version = info.pop("Version")
    assert len(version) == 20
    assert version.isalnum()
    assert info.pop("CreationTime").timestamp() * 1000 == created_ms
    assert info == {
        "DeviceName": "camera",
        "StreamName": "front.door_1",
        "StreamARN": arn,
        "MediaType": "video/h264,audio/aac",
        "Status": "ACTIVE",
        "DataRetentionInHours": 24,
    }
    assert (await timed.call("list_tags_for_stream", StreamARN=arn))["Tags"] == {"floor": "1"}


async def test_a_name_is_unique_in_its_region_and_a_restart_remembers(video: VideoService) -> None:
    await video.create(".")  # a legal name that is no folder
    with pytest.raises(ClientError, match=r"Stream \. exists") as refused:
        await video.create(".")
    assert code_of(refused) == "ResourceInUseException"
    await video.call("create_stream", region="eu-west-1", StreamName=".")
    before = await video.call("describe_stream", StreamName=".")
    await video.restart()
    after = await video.call("describe_stream", StreamName=".")
    assert after["StreamInfo"] == before["StreamInfo"]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kinesisvideo:us-east-1:{account}:stream/cam/1",
        "arn:aws:kinesisvideo:us-east-1:999999999999:stream/cam/{created}",
        "arn:aws:kinesisvideo:eu-west-1:{account}:stream/cam/{created}",
        "arn:aws:kinesisvideo:us-east-1:{account}:stream/other/{created}",
    ],
)
async def test_an_arn_of_something_else_finds_nothing(video: VideoService, arn: str) -> None:
    created = (await video.create()).rpartition("/")[2]
    with pytest.raises(ClientError) as refused:
        await video.call("describe_stream", StreamARN=arn.format(account=ACCOUNT, created=created))
    assert code_of(refused) == "ResourceNotFoundException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


async def test_streams_are_listed_by_name_prefix_and_page(video: VideoService) -> None:
    for name in ("cam-3", "cam-1", "door", "cam-2"):
        await video.create(name)
    await video.call("create_stream", region="eu-west-1", StreamName="cam-0")

    async def listed(**members: Any) -> tuple[list[str], str | None]:
        answer = await video.call("list_streams", **members)
        return [info["StreamName"] for info in answer["StreamInfoList"]], answer.get("NextToken")

    condition = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "cam"}
    assert await listed() == (["cam-1", "cam-2", "cam-3", "door"], None)
    assert await listed(StreamNameCondition=condition) == (["cam-1", "cam-2", "cam-3"], None)
    names, token = await listed(StreamNameCondition=condition, MaxResults=2)
    assert names == ["cam-1", "cam-2"]
    assert await listed(StreamNameCondition=condition, NextToken=token) == (["cam-3"], None)
    with pytest.raises(ClientError, match="NextToken"):
        await listed(NextToken="garbage")


async def test_only_the_current_version_can_be_changed(video: VideoService) -> None:
    arn = await video.create(retention_hours=1)
    old = await video.version()
    raised: dict[str, Any] = {
        "Operation": "INCREASE_DATA_RETENTION",
        "DataRetentionChangeInHours": 23,
    }
    await video.call("update_data_retention", StreamName="cam", CurrentVersion=old, **raised)
    info = (await video.call("describe_stream", StreamName="cam"))["StreamInfo"]
    assert info["DataRetentionInHours"] == 24
    assert info["Version"] != old
    refusals: list[tuple[str, dict[str, Any]]] = [
        ("update_data_retention", {"StreamARN": arn, **raised}),
        ("update_stream", {"StreamARN": arn, "DeviceName": "x"}),
        ("delete_stream", {"StreamARN": arn}),
    ]
    for operation, members in refusals:
        with pytest.raises(ClientError) as refused:
            await video.call(operation, CurrentVersion=old, **members)
        assert code_of(refused) == "VersionMismatchException"
    assert (await video.call("describe_stream", StreamName="cam"))["StreamInfo"] == info
    await video.call("delete_stream", StreamARN=arn, CurrentVersion=info["Version"])
    assert (await video.call("list_streams"))["StreamInfoList"] == []


@pytest.mark.parametrize(
    ("operation", "hours"), [("DECREASE_DATA_RETENTION", 2), ("INCREASE_DATA_RETENTION", 87_600)]
)
async def test_retention_stays_within_ten_years(
    video: VideoService, operation: str, hours: int
) -> None:
    await video.create(retention_hours=1)
    with pytest.raises(ClientError, match="87600") as refused:
        await video.call(
            "update_data_retention",
            StreamName="cam",
            CurrentVersion=await video.version(),
            Operation=operation,
            DataRetentionChangeInHours=hours,
        )
    assert code_of(refused) == "InvalidArgumentException"
    with pytest.raises(ClientError, match="87601"):
        await video.create("other", retention_hours=87_601)


async def test_a_stream_can_be_renamed_in_part(video: VideoService) -> None:
    arn = await video.create()
    version = await video.version()
    await video.call("update_stream", StreamARN=arn, CurrentVersion=version, MediaType="video/h265")
    info = (await video.call("describe_stream", StreamName="cam"))["StreamInfo"]
    assert info["MediaType"] == "video/h265"
    with pytest.raises(ClientError, match="DeviceName"):
        await video.call("update_stream", StreamARN=arn, CurrentVersion=info["Version"])


async def test_tags_come_and_go(video: VideoService) -> None:
    arn = await video.create()
    await video.call("tag_stream", StreamARN=arn, Tags={"site": "a", "floor": "1"})
    await video.call("tag_stream", StreamName="cam", Tags={"site": "b"})
    await video.call("untag_stream", StreamName="cam", TagKeyList=["floor", "unknown"])
    await video.restart()
    assert (await video.call("list_tags_for_stream", StreamName="cam"))["Tags"] == {"site": "b"}
    many = {f"key{index}": "" for index in range(50)}
    with pytest.raises(ClientError, match="51 tags") as refused:
        await video.call("tag_stream", StreamName="cam", Tags=many)
    assert code_of(refused) == "TagsPerResourceExceededLimitException"
    assert (await video.call("list_tags_for_stream", StreamName="cam"))["Tags"] == {"site": "b"}


async def test_the_data_endpoint_is_the_configured_one(video: VideoService) -> None:
    await video.create()
    video.streams.public_url = "https://video.example.org:8443"
    for api in ("PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST"):
        answer = await video.call("get_data_endpoint", StreamName="cam", APIName=api)
        assert answer["DataEndpoint"] == "https://video.example.org:8443"
    with pytest.raises(ClientError) as refused:
        await video.call("get_data_endpoint", StreamName="none", APIName="GET_MEDIA")
    assert code_of(refused) == "ResourceNotFoundException"


@pytest.mark.parametrize("operation", ["describe_stream", "list_tags_for_stream"])
async def test_a_request_must_name_a_stream(video: VideoService, operation: str) -> None:
    with pytest.raises(ClientError, match="StreamName nor StreamARN") as refused:
        await video.call(operation)
    assert code_of(refused) == "InvalidArgumentException"
