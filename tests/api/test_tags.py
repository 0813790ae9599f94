"""Tags of collections and stream processors, as boto3 sees them."""

from typing import Any

import pytest

from tests.api.conftest import StartApi
from tests.api.live_api import ACCOUNT, REGION, client_of

PREFIX = f"arn:aws:rekognition:{REGION}:{ACCOUNT}"
PROCESSOR = f"{PREFIX}:streamprocessor/door"


def tags_of(client: Any, arn: str) -> Any:
    return client.list_tags_for_resource(ResourceArn=arn)["Tags"]


def test_tags_are_added_overwritten_and_removed(rekognition: Any) -> None:
    assert tags_of(rekognition, PROCESSOR) == {}
    rekognition.tag_resource(ResourceArn=PROCESSOR, Tags={"site": "north", "floor": "1"})
    rekognition.tag_resource(ResourceArn=PROCESSOR, Tags={"floor": "2", "empty": ""})
    assert tags_of(rekognition, PROCESSOR) == {"site": "north", "floor": "2", "empty": ""}
    rekognition.untag_resource(ResourceArn=PROCESSOR, TagKeys=["floor", "unknown"])
    assert tags_of(rekognition, PROCESSOR) == {"site": "north", "empty": ""}


def test_a_collection_is_created_with_tags_and_leaves_none_behind(rekognition: Any) -> None:
    created = rekognition.create_collection(CollectionId="team", Tags={"site": "north"})
    arn = f"{PREFIX}:collection/team"
    assert tags_of(rekognition, arn) == {"site": "north"}
    assert tags_of(rekognition, created["CollectionArn"]) == {"site": "north"}  # as it was given
    rekognition.delete_collection(CollectionId="team")
    rekognition.create_collection(CollectionId="team")
    assert tags_of(rekognition, arn) == {}


@pytest.mark.parametrize("resource", ["collection/nobody", "streamprocessor/nobody"])
def test_a_resource_that_does_not_exist_is_named(rekognition: Any, resource: str) -> None:
    arn = f"{PREFIX}:{resource}"
    calls: list[tuple[Any, dict[str, Any]]] = [
        (rekognition.tag_resource, {"Tags": {"a": "b"}}),
        (rekognition.untag_resource, {"TagKeys": ["a"]}),
        (rekognition.list_tags_for_resource, {}),
    ]
    for call, arguments in calls:
        with pytest.raises(rekognition.exceptions.ResourceNotFoundException, match="nobody"):
            call(ResourceArn=arn, **arguments)


def test_another_partition_region_or_account_has_no_such_resource(start_api: StartApi) -> None:
    client = client_of(start_api())
    for arn in (
        f"arn:aws:rekognition:us-west-2:{ACCOUNT}:streamprocessor/door",
        f"arn:aws:rekognition:{REGION}:999999999999:streamprocessor/door",
        PROCESSOR.replace("arn:aws:", "arn:aws-cn:"),
    ):
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="is not in region"):
            tags_of(client, arn)


@pytest.mark.parametrize(
    "arn",
    [
        "not-an-arn-but-long-enough",
        f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/records",
        f"{PREFIX}:project/birds/version/1/1",
    ],
)
def test_what_has_no_tags_here_is_refused(rekognition: Any, arn: str) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="ResourceArn"):
        tags_of(rekognition, arn)


def test_too_many_tags_are_refused_and_change_nothing(start_api: StartApi) -> None:
    client = client_of(start_api(processors={"tags_max": 2}))
    client.tag_resource(ResourceArn=PROCESSOR, Tags={"a": "1", "b": "2"})
    with pytest.raises(client.exceptions.ServiceQuotaExceededException, match=r"3 tags.*most is 2"):
        client.tag_resource(ResourceArn=PROCESSOR, Tags={"b": "changed", "c": "3"})
    client.tag_resource(ResourceArn=PROCESSOR, Tags={"a": "3"})
    assert tags_of(client, PROCESSOR) == {"a": "3", "b": "2"}
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.create_collection(CollectionId="team", Tags={"a": "1", "b": "2", "c": "3"})
    assert client.list_collections()["CollectionIds"] == []


@pytest.mark.parametrize(
    "tags", [{"aws:mine": "x"}, {"a" * 129: "x"}, {"a": "x" * 257}, {"a": "<"}]
)
def test_tags_out_of_pattern_are_refused(rekognition: Any, tags: dict[str, str]) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException):
        rekognition.tag_resource(ResourceArn=PROCESSOR, Tags=tags)
