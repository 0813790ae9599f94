"""The life of a data stream, through boto3."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

NOW = datetime.fromtimestamp(1_700_000_000, UTC)  # FakeClock's
ARN = "arn:aws:kinesis:eu-west-1:111122223333:stream/"


def everything(kinesis: Any) -> list[Any]:
    """All that exists, for comparing before and after."""
    names = kinesis.list_streams()["StreamNames"]
    answers = []
    for name in names:
        answers.append(kinesis.describe_stream(StreamName=name)["StreamDescription"])
        answers.append(kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"])
        answers.append(kinesis.list_tags_for_stream(StreamName=name)["Tags"])
    return answers


@pytest.fixture
def refused(kinesis: Any) -> Callable[..., str]:
    """Call; require a modelled exception and that nothing changed; return its message."""

    def call(code: str, operation: str, **request: Any) -> str:
        before = everything(kinesis)
        with pytest.raises(getattr(kinesis.exceptions, code)) as refusal:
            getattr(kinesis, operation)(**request)
        assert everything(kinesis) == before
        return str(refusal.value.response["Error"]["Message"])

    return call


def test_a_stream_is_active_at_once(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=2, Tags={"team": "doors"})
    kinesis.get_waiter("stream_exists").wait(StreamName="faces")
    summary = kinesis.describe_stream_summary(StreamName="faces")["StreamDescriptionSummary"]
    assert summary == {
        "StreamName": "faces",
        "StreamARN": ARN + "faces",
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": NOW,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
        "OpenShardCount": 2,
        "ConsumerCount": 0,
        "MaxRecordSizeInKiB": 1024,
    }
    assert kinesis.list_tags_for_stream(StreamName="faces")["Tags"] == [
        {"Key": "team", "Value": "doors"}
    ]


def test_shards_share_the_hash_keys_without_gap(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=3)
    shards = kinesis.describe_stream(StreamName="faces")["StreamDescription"]["Shards"]
    ranges = [shard["HashKeyRange"] for shard in shards]
    # The ranges that AWS's own documentation shows for three shards.
    assert [int(r["StartingHashKey"]) for r in ranges] == [
        0,
        113427455640312821154458202477256070485,
        226854911280625642308916404954512140970,
    ]
    assert [int(r["EndingHashKey"]) for r in ranges] == [
        113427455640312821154458202477256070484,
        226854911280625642308916404954512140969,
        340282366920938463463374607431768211455,
    ]
    assert kinesis.list_shards(StreamName="faces")["Shards"] == shards


def test_an_on_demand_stream_has_four_shards(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    described = kinesis.describe_stream(StreamName="faces")["StreamDescription"]
    assert described["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert len(described["Shards"]) == 4


def test_the_arn_serves_where_the_name_does(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    by_name = kinesis.describe_stream(StreamName="faces")["StreamDescription"]
    assert kinesis.describe_stream(StreamARN=ARN + "faces")["StreamDescription"] == by_name
    both = kinesis.describe_stream(StreamARN=ARN + "faces", StreamName="faces")
    assert both["StreamDescription"] == by_name


def test_regions_are_apart(local: Any) -> None:
    here, there = local.client("eu-west-1"), local.client("us-east-1")
    here.create_stream(StreamName="faces", ShardCount=1)
    assert there.list_streams()["StreamNames"] == []
    there.create_stream(StreamName="faces", ShardCount=2)
    there.delete_stream(StreamName="faces")
    assert here.list_streams()["StreamNames"] == ["faces"]


def test_a_deleted_stream_is_gone_and_its_name_free(
    kinesis: Any, read_all: Callable[..., list[dict[str, Any]]]
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    kinesis.put_record(StreamName="faces", Data=b"old", PartitionKey="cam")
    kinesis.delete_stream(StreamName="faces")
    kinesis.get_waiter("stream_not_exists").wait(StreamName="faces")
    assert kinesis.list_streams()["StreamNames"] == []
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    assert read_all(kinesis, "faces") == []


def test_streams_are_listed_by_name_in_pages(kinesis: Any) -> None:
    names = [f"s{number}" for number in (3, 1, 4, 5, 2)]
    for name in names:
        kinesis.create_stream(StreamName=name, ShardCount=1)
    pages = list(kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2}))
    assert [page["StreamNames"] for page in pages] == [["s1", "s2"], ["s3", "s4"], ["s5"]]
    assert [page["HasMoreStreams"] for page in pages] == [True, True, False]
    assert pages[2]["StreamSummaries"] == [
        {
            "StreamName": "s5",
            "StreamARN": ARN + "s5",
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "StreamCreationTimestamp": NOW,
        }
    ]
    rest = kinesis.list_streams(ExclusiveStartStreamName="s3")
    assert rest["StreamNames"] == ["s4", "s5"]


def test_shards_are_listed_in_pages(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=5)
    whole = kinesis.list_shards(StreamName="faces")
    assert "NextToken" not in whole
    first = kinesis.list_shards(StreamName="faces", MaxResults=3)
    second = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=3)
    assert first["Shards"] + second["Shards"] == whole["Shards"]
    assert "NextToken" not in second
    # boto3's own paginator repeats the name beside the token.
    pages = kinesis.get_paginator("list_shards").paginate(
        StreamName="faces", PaginationConfig={"PageSize": 2}
    )
    assert [shard for page in pages for shard in page["Shards"]] == whole["Shards"]
    described = kinesis.get_paginator("describe_stream").paginate(
        StreamName="faces", PaginationConfig={"PageSize": 2}
    )
    shards = [shard for page in described for shard in page["StreamDescription"]["Shards"]]
    assert shards == whole["Shards"]


@pytest.mark.parametrize(
    ("how", "first"),
    [
        ({"ExclusiveStartShardId": "shardId-000000000001"}, 2),
        ({"ShardFilter": {"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000000"}}, 1),
        ({"ShardFilter": {"Type": "AT_LATEST"}}, 0),
        ({"ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": NOW}}, 0),
    ],
)
def test_a_listing_of_shards_can_begin_later(kinesis: Any, how: dict[str, Any], first: int) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=3)
    found = kinesis.list_shards(StreamName="faces", **how)["Shards"]
    assert [shard["ShardId"] for shard in found] == [
        f"shardId-{index:012}" for index in range(first, 3)
    ]


def test_retention_is_raised_and_lowered(kinesis: Any, refused: Callable[..., str]) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    kinesis.increase_stream_retention_period(StreamName="faces", RetentionPeriodHours=48)
    for operation, hours, words in (
        ("increase_stream_retention_period", 36, "can not be shorter than existing"),
        ("decrease_stream_retention_period", 72, "can not be longer than existing"),
        ("decrease_stream_retention_period", 23, "Minimum allowed retention period is 24 hours"),
        ("increase_stream_retention_period", 8761, "Maximum allowed retention period is 8760"),
    ):
        message = refused(
            "InvalidArgumentException", operation, StreamName="faces", RetentionPeriodHours=hours
        )
        assert words in message
    kinesis.decrease_stream_retention_period(StreamName="faces", RetentionPeriodHours=24)
    described = kinesis.describe_stream_summary(StreamName="faces")["StreamDescriptionSummary"]
    assert described["RetentionPeriodHours"] == 24


def test_tags_by_both_families_of_operations(kinesis: Any, refused: Callable[..., str]) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    kinesis.add_tags_to_stream(StreamName="faces", Tags={"a": "1", "b": "2"})
    kinesis.tag_resource(ResourceARN=ARN + "faces", Tags={"b": "3", "c": ""})
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}, {"Key": "c", "Value": ""}]
    assert kinesis.list_tags_for_resource(ResourceARN=ARN + "faces")["Tags"] == tags
    page = kinesis.list_tags_for_stream(StreamName="faces", Limit=2)
    assert (page["Tags"], page["HasMoreTags"]) == (tags[:2], True)
    page = kinesis.list_tags_for_stream(StreamName="faces", ExclusiveStartTagKey="b")
    assert (page["Tags"], page["HasMoreTags"]) == (tags[2:], False)
    kinesis.remove_tags_from_stream(StreamName="faces", TagKeys=["a", "never"])
    kinesis.untag_resource(ResourceARN=ARN + "faces", TagKeys=["b"])
    assert kinesis.list_tags_for_stream(StreamName="faces")["Tags"] == tags[2:]
    for tail in ("channel/faces", "stream/faces/consumer/reader:1700000000"):
        arn = f"arn:aws:kinesis:eu-west-1:111122223333:{tail}"
        refused("ResourceNotFoundException", "tag_resource", ResourceARN=arn, Tags={"d": "4"})
    many = {f"t{number}": "" for number in range(50)}
    refused("LimitExceededException", "add_tags_to_stream", StreamName="faces", Tags=many)


@pytest.mark.parametrize(
    ("code", "operation", "request_", "words"),
    [
        ("ResourceInUseException", "create_stream", {"StreamName": "faces", "ShardCount": 1},
         "Stream faces under account 111122223333 already exists."),
        ("InvalidArgumentException", "create_stream", {"StreamName": "new"}, "ShardCount"),
        ("InvalidArgumentException", "create_stream",
         {"StreamName": "new", "ShardCount": 9, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
         "ShardCount 9"),
        ("InvalidArgumentException", "create_stream",
         {"StreamName": "new", "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
          "RecordDistributionStrategy": "AUTO"}, "RecordDistributionStrategy AUTO"),
        ("LimitExceededException", "create_stream", {"StreamName": "new", "ShardCount": 499},
         "Current shard count for the account: 2. Limit: 500."),
        ("ValidationException", "create_stream", {"StreamName": "a b", "ShardCount": 1}, "a b"),
        ("ResourceNotFoundException", "describe_stream", {"StreamName": "new"},
         "Stream new under account 111122223333 not found."),
        ("ResourceNotFoundException", "delete_stream", {"StreamName": "new"}, "new"),
        ("ResourceNotFoundException", "describe_stream",
         {"StreamARN": "arn:aws:kinesis:us-east-1:111122223333:stream/faces"}, "faces"),
        ("ResourceNotFoundException", "describe_stream",
         {"StreamARN": "arn:aws:kinesis:eu-west-1:999999999999:stream/faces"}, "999999999999"),
        ("InvalidArgumentException", "describe_stream", {}, "StreamARN or StreamName"),
        ("InvalidArgumentException", "describe_stream",
         {"StreamName": "new", "StreamARN": ARN + "faces"}, "two streams"),
        ("InvalidArgumentException", "list_streams", {"NextToken": "garbage"}, "garbage"),
        ("InvalidArgumentException", "list_shards", {"NextToken": "garbage"}, "garbage"),
        ("InvalidArgumentException", "list_shards", {}, "StreamARN or StreamName"),
        ("InvalidArgumentException", "list_shards",
         {"StreamName": "faces", "ShardFilter": {"Type": "AFTER_SHARD_ID"}}, "ShardFilter.ShardId"),
        ("InvalidArgumentException", "list_shards",
         {"StreamName": "faces", "ShardFilter": {"Type": "AT_TIMESTAMP"}},
         "ShardFilter.Timestamp"),
        ("ResourceNotFoundException", "list_shards",
         {"StreamName": "faces", "StreamCreationTimestamp": NOW - timedelta(days=1)}, "faces"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_is_refused_and_changes_nothing(
    kinesis: Any,
    refused: Callable[..., str],
    code: str,
    operation: str,
    request_: dict[str, Any],
    words: str,
) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=2)
    assert words in refused(code, operation, **request_)


def test_a_listing_cannot_be_continued_late_or_elsewhere(local: Any, kinesis: Any) -> None:
    for name in ("faces", "other"):
        kinesis.create_stream(StreamName=name, ShardCount=2)
    shards = kinesis.list_shards(StreamName="faces", MaxResults=1)["NextToken"]
    streams = kinesis.list_streams(Limit=1)["NextToken"]
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="faces"):
        kinesis.list_shards(NextToken=shards, StreamName="other")
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="ShardFilter"):
        kinesis.list_shards(NextToken=shards, ShardFilter={"Type": "AT_LATEST"})
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="ListStreams"):
        kinesis.list_streams(NextToken=shards)
    local.advance(301)
    with pytest.raises(kinesis.exceptions.ExpiredNextTokenException):
        kinesis.list_shards(NextToken=shards)
    with pytest.raises(kinesis.exceptions.ExpiredNextTokenException):
        kinesis.list_streams(NextToken=streams)
