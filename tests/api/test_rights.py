"""What each Rekognition operation asks for, told from its request alone."""

from dataclasses import dataclass
from typing import Any

import pytest

from streamproc.api import rekognition
from streamproc.api.rights import RESOURCES, rights
from streamproc.config import Config, load_config
from streamproc.gateway.dispatch import RequestContext

ARN = "arn:aws:rekognition:eu-west-1:123456789012"
PEOPLE, DOOR = f"{ARN}:collection/people", f"{ARN}:streamprocessor/door"
VIDEO = "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/cam/1551924009774"
DATA = "arn:aws:kinesis:eu-west-1:123456789012:stream/faces"
TOPIC, ROLE = "arn:aws:sns:eu-west-1:123456789012:done", "arn:aws:iam::123456789012:role/reader"
OBJECT = {"S3Object": {"Bucket": "clips", "Name": "2026/a b.mp4"}}

# A value for every member that names something, whatever the operation.
NAMES: dict[str, Any] = {
    "CollectionId": "people",
    "Name": "door",
    "ResourceArn": PEOPLE,
    "Image": OBJECT,
    "SourceImage": OBJECT,
    "TargetImage": {"S3Object": {"Bucket": "clips", "Name": "b.png", "Version": "7"}},
    "Video": OBJECT,
    "Input": {"KinesisVideoStream": {"Arn": VIDEO}},
    "Output": {"KinesisDataStream": {"Arn": DATA}},
    "Settings": {"FaceSearch": {"CollectionId": "people"}},
    "RoleArn": ROLE,
    "NotificationChannel": {"SNSTopicArn": TOPIC, "RoleArn": ROLE},
}


@dataclass(frozen=True)
class Configured:
    config: Config


IGNORING = Configured(load_config(None, {}))
ASSUMING = Configured(load_config(None, {"aws": {"role": "assume"}}))


def needed(
    operation: str, request: dict[str, Any], services: Configured = IGNORING
) -> list[tuple[str, str]]:
    context = RequestContext(
        service="rekognition",
        operation=operation,
        region="eu-west-1",
        account_id="123456789012",
        request_id="",
    )
    return [
        (right.action, right.resource) for right in rights(services, operation, request, context)
    ]


def naming(operation: str) -> dict[str, Any]:
    """A request that names all that the operation can name."""
    shape = rekognition.model.operation_model(operation).input_shape
    members = {} if shape is None else shape.members
    request = {name: value for name, value in NAMES.items() if name in members}
    if operation.startswith("StartLabel"):
        request["Settings"] = {"GeneralLabels": {}}
    return request


def test_every_operation_that_is_served_stands_in_the_table() -> None:
    assert set(RESOURCES) == rekognition.operations


@pytest.mark.parametrize("operation", sorted(rekognition.operations))
def test_an_operation_asks_for_itself_on_all_that_it_names(operation: str) -> None:
    request = naming(operation)
    asked = needed(operation, request)
    own = {resource for action, resource in asked if action == f"rekognition:{operation}"}
    expected = {
        arn
        for member, arn in (("CollectionId", PEOPLE), ("Name", DOOR), ("ResourceArn", PEOPLE))
        if member in request
    }
    if operation == "CreateStreamProcessor":
        expected |= {PEOPLE}
    assert own == (expected or {"*"})


@pytest.mark.parametrize("operation", sorted(rekognition.operations))
def test_an_operation_asks_for_each_object_and_topic_that_it_names(operation: str) -> None:
    request = naming(operation)
    asked = needed(operation, request)
    expected = set()
    if request.keys() & {"Image", "SourceImage", "Video"}:
        expected |= {("s3:GetObject", "arn:aws:s3:::clips/2026/a b.mp4")}
    if "TargetImage" in request:
        expected |= {("s3:GetObjectVersion", "arn:aws:s3:::clips/b.png")}
    if "NotificationChannel" in request:
        expected |= {("sns:Publish", TOPIC)}
    assert {pair for pair in asked if pair[0].startswith(("s3:", "sns:"))} == expected


def test_whoever_makes_a_processor_may_do_all_that_it_will_do() -> None:
    request = naming("CreateStreamProcessor")
    del request["NotificationChannel"]
    assert needed("CreateStreamProcessor", request) == [
        ("rekognition:CreateStreamProcessor", DOOR),
        ("rekognition:CreateStreamProcessor", PEOPLE),
        ("rekognition:SearchFaces", PEOPLE),
        ("kinesisvideo:GetMedia", VIDEO),
        ("kinesis:PutRecords", DATA),
    ]


def test_a_processor_that_names_nothing_asks_for_nothing_more() -> None:
    """The operation refuses it; rights are told before that."""
    request = {"Name": "door", "Input": {}, "Output": {}, "Settings": {}, "RoleArn": ROLE}
    asked = needed("CreateStreamProcessor", request)
    assert asked == [("rekognition:CreateStreamProcessor", DOOR)]
    request["Settings"] = {"FaceSearch": {}}
    assert needed("CreateStreamProcessor", request) == asked


@pytest.mark.parametrize("operation", ["CreateStreamProcessor", "StartFaceDetection"])
def test_a_role_that_is_really_assumed_has_to_be_passed(operation: str) -> None:
    request = naming(operation)
    assert ("iam:PassRole", ROLE) in needed(operation, request, ASSUMING)
    assert ("iam:PassRole", ROLE) not in needed(operation, request, IGNORING)


@pytest.mark.parametrize(
    ("operation", "arn"), [("CreateCollection", PEOPLE), ("CreateStreamProcessor", DOOR)]
)
def test_tags_at_creation_need_the_right_to_tag(operation: str, arn: str) -> None:
    request = naming(operation)
    tagging = ("rekognition:TagResource", arn)
    assert tagging in needed(operation, {**request, "Tags": {"site": "north"}})
    assert tagging not in needed(operation, {**request, "Tags": {}})


def test_an_arn_without_its_first_part_is_that_arn() -> None:
    asked = needed("TagResource", {"ResourceArn": PEOPLE.removeprefix("arn:"), "Tags": {}})
    assert asked == [("rekognition:TagResource", PEOPLE)]
