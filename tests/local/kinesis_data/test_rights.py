"""What each operation of Kinesis Data asks for, also where a token names the stream."""

from typing import Any

import pytest

from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import ExpiredIterator, InvalidArgument
from streamproc.local.kinesis_data import service
from streamproc.local.kinesis_data.rights import RESOURCES, rights
from tests.local.kinesis_data.conftest import ACCOUNT, REGION, LocalKinesis

CAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/cam"
OTHER = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/other"


def needed(local: LocalKinesis, operation: str, request: dict[str, Any]) -> list[tuple[str, str]]:
    context = RequestContext(
        service="kinesis",
        operation=operation,
        region=REGION,
        account_id=ACCOUNT,
        request_id="",
    )
    return [
        (right.action, right.resource)
        for right in rights(local.streams, operation, request, context)
    ]


def iterator_of(kinesis: Any, name: str) -> str:
    return str(
        kinesis.get_shard_iterator(
            StreamName=name, ShardId="shardId-000000000000", ShardIteratorType="LATEST"
        )["ShardIterator"]
    )


def test_every_operation_that_is_served_stands_in_the_table() -> None:
    assert set(RESOURCES) == service.operations


@pytest.mark.parametrize("operation", sorted(service.operations - {"GetRecords", "ListStreams"}))
def test_an_operation_asks_for_itself_on_the_stream_that_it_names(
    local: LocalKinesis, operation: str
) -> None:
    shape = service.model.operation_model(operation).input_shape
    assert shape is not None
    named = {"StreamName": "cam", "StreamARN": CAM, "ResourceARN": CAM}
    ways = [{member: value} for member, value in named.items() if member in shape.members]
    assert ways
    for request in ways:
        assert needed(local, operation, request) == [(f"kinesis:{operation}", CAM)]
    assert needed(local, operation, {}) == [(f"kinesis:{operation}", "*")]


def test_two_names_need_both_rights(local: LocalKinesis) -> None:
    request = {"StreamName": "cam", "StreamARN": OTHER}
    assert needed(local, "PutRecords", request) == [
        ("kinesis:PutRecords", OTHER),
        ("kinesis:PutRecords", CAM),
    ]


def test_listing_streams_is_all_or_nothing(local: LocalKinesis) -> None:
    assert needed(local, "ListStreams", {}) == [("kinesis:ListStreams", "*")]


def test_tags_at_creation_need_the_right_to_tag(local: LocalKinesis) -> None:
    request = {"StreamName": "cam", "Tags": {"site": "north"}}
    assert needed(local, "CreateStream", request) == [
        ("kinesis:CreateStream", CAM),
        ("kinesis:AddTagsToStream", CAM),
    ]


def test_an_iterator_asks_for_the_right_on_its_stream(local: LocalKinesis, kinesis: Any) -> None:
    for name in ("cam", "other"):
        kinesis.create_stream(StreamName=name, ShardCount=1)
    request = {"ShardIterator": iterator_of(kinesis, "cam")}
    assert needed(local, "GetRecords", request) == [("kinesis:GetRecords", CAM)]
    assert needed(local, "GetRecords", {**request, "StreamARN": OTHER}) == [
        ("kinesis:GetRecords", OTHER),
        ("kinesis:GetRecords", CAM),
    ], "the token decides what is read, whatever else is said"
    kinesis.delete_stream(StreamName="cam")
    assert needed(local, "GetRecords", request) == [("kinesis:GetRecords", "*")]


def test_a_continued_listing_asks_for_the_right_on_its_stream(
    local: LocalKinesis, kinesis: Any
) -> None:
    kinesis.create_stream(StreamName="cam", ShardCount=2)
    token = kinesis.list_shards(StreamName="cam", MaxResults=1)["NextToken"]
    assert needed(local, "ListShards", {"NextToken": token}) == [("kinesis:ListShards", CAM)]


def test_a_token_that_is_none_names_nothing(local: LocalKinesis, kinesis: Any) -> None:
    with pytest.raises(InvalidArgument):
        needed(local, "GetRecords", {"ShardIterator": "AAAA"})
    with pytest.raises(InvalidArgument):
        needed(local, "ListShards", {"NextToken": "AAAA"})
    kinesis.create_stream(StreamName="cam", ShardCount=1)
    old = iterator_of(kinesis, "cam")
    local.advance(301)
    with pytest.raises(ExpiredIterator):
        needed(local, "GetRecords", {"ShardIterator": old})


@pytest.mark.parametrize(
    "arn",
    [
        CAM.replace("arn:aws:", "arn:aws-cn:"),
        CAM.replace(REGION, "us-east-1"),
        CAM.replace(ACCOUNT, "000000000000"),
        f"{CAM}/x",
    ],
)
def test_an_arn_finds_a_stream_only_to_the_letter(kinesis: Any, arn: str) -> None:
    """Else a policy that denies the stream could be passed by, with another spelling."""
    kinesis.create_stream(StreamName="cam", ShardCount=1)
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.describe_stream_summary(StreamARN=arn)
