from collections.abc import Mapping
from typing import Any

import pytest

from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import UnknownOperation
from streamproc.model.caller import Right

CONTEXT = RequestContext("rekognition", "DescribeCollection", "us-east-1", "0" * 12, "id")


def rekognition() -> Service[list[str]]:
    return Service[list[str]]("rekognition", validation_error="InvalidParameterException")


async def describe(names: list[str], request: dict[str, Any], context: RequestContext) -> Any:
    return {"FaceCount": names.index(request["CollectionId"])}


async def test_a_handler_gets_its_dependencies_by_binding() -> None:
    service = rekognition()
    assert service.operation("DescribeCollection")(describe) is describe
    handler = service.bind(["a", "b"]).handler("DescribeCollection")
    assert await handler({"CollectionId": "b"}, CONTEXT) == {"FaceCount": 1}


def test_rights_get_their_dependencies_by_binding() -> None:
    def rights(
        names: list[str], operation: str, request: Mapping[str, Any], context: RequestContext
    ) -> list[Right]:
        return [Right(f"{operation} of {context.region}", names[request["Index"]])]

    service = Service[list[str]]("rekognition", validation_error="x", rights=rights)
    told = service.bind(["a", "b"]).rights("DescribeCollection", {"Index": 1}, CONTEXT)
    assert told == [Right("DescribeCollection of us-east-1", "b")]


def test_without_rights_of_its_own_an_operation_needs_itself_on_all() -> None:
    told = rekognition().bind([]).rights("DescribeCollection", {"CollectionId": "a"}, CONTEXT)
    assert told == (Right("rekognition:DescribeCollection", "*"),)


def test_a_typo_fails_at_import() -> None:
    with pytest.raises(LookupError, match="rekognition has no operation DescribeColection"):
        rekognition().operation("DescribeColection")


def test_an_operation_has_one_handler() -> None:
    service = rekognition()
    service.operation("DescribeCollection")(describe)
    with pytest.raises(ValueError, match="has a handler already"):
        service.operation("DescribeCollection")(describe)


def test_an_operation_without_handler_is_unknown_in_plain_words() -> None:
    with pytest.raises(UnknownOperation, match=r"rekognition DetectFaces is not served here\."):
        rekognition().bind([]).handler("DetectFaces")


def test_what_the_gateway_cannot_serve_is_refused_at_import() -> None:
    with pytest.raises(LookupError, match="botocore has no service rekogniton"):
        Service[None]("rekogniton", validation_error="ValidationException")
    with pytest.raises(ValueError, match="ec2 speaks ec2; only json and rest-json"):
        Service[None]("ec2", validation_error="ValidationException")
    kinesis = Service[None]("kinesis", validation_error="ValidationException")
    with pytest.raises(ValueError, match="SubscribeToShard is an event stream"):
        kinesis.operation("SubscribeToShard")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ({"location": "headers", "locationName": "x-"}, "has a string Name in headers"),
        ({"location": "header", "jsonvalue": True}, "has a string Name in header"),
    ],
)
def test_members_in_odd_places_are_refused_at_import(member: dict[str, Any], words: str) -> None:
    extra = {
        "operations": {
            "Odd": {
                "name": "Odd",
                "http": {"method": "POST", "requestUri": "/odd"},
                "input": {"shape": "OddInput"},
            }
        },
        "shapes": {
            "OddInput": {
                "type": "structure",
                "members": {"Name": {"shape": "StreamName", **member}},
            }
        },
    }
    service = Service[None]("kinesisvideo", validation_error="ValidationException", extra=extra)
    with pytest.raises(ValueError, match=words):
        service.operation("Odd")


def test_a_pattern_beyond_us_is_refused_at_import() -> None:
    extra = {"shapes": {"StreamName": {"type": "string", "pattern": "[a-z&&[^aeiou]]"}}}
    service = Service[None]("kinesis", validation_error="ValidationException", extra=extra)
    with pytest.raises(ValueError, match="sets of sets"):
        service.operation("DescribeStream")


def test_the_status_of_an_error_is_the_models() -> None:
    video = Service[None]("kinesisvideo", validation_error="InvalidArgumentException").bind(None)
    assert video.error_statuses["ResourceNotFoundException"] == 404
    assert video.error_statuses["NotAuthorizedException"] == 401
    assert rekognition().bind([]).error_statuses["InternalServerError"] == 500
    assert rekognition().bind([]).error_statuses["ResourceNotFoundException"] == 400
