"""Collections, as boto3 sees them."""

import time
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.engines.fake import FakeEngine
from tests.api.conftest import StartApi
from tests.api.live_api import ACCOUNT, REGION, client_of, painted


def test_a_collection_lives_from_create_to_delete(rekognition: Any) -> None:
    created = rekognition.create_collection(CollectionId="team")
    # Without "arn:", as the service really answers.
    assert created["CollectionArn"] == f"aws:rekognition:{REGION}:{ACCOUNT}:collection/team"
    assert created["StatusCode"] == 200
    described = rekognition.describe_collection(CollectionId="team")
    assert described["CollectionARN"] == f"arn:{created['CollectionArn']}"
    assert described["FaceModelVersion"] == created["FaceModelVersion"] == "1.16"
    assert (described["FaceCount"], described["UserCount"]) == (0, 0)
    assert described["CreationTimestamp"].timestamp() == pytest.approx(time.time(), abs=60)
    assert rekognition.delete_collection(CollectionId="team")["StatusCode"] == 200
    assert rekognition.list_collections()["CollectionIds"] == []


def test_the_same_id_twice_is_refused(rekognition: Any) -> None:
    rekognition.create_collection(CollectionId="team")
    with pytest.raises(
        rekognition.exceptions.ResourceAlreadyExistsException,
        match=r"The collection id: team already exists\.",
    ):
        rekognition.create_collection(CollectionId="team")


def test_an_unknown_collection_is_named_by_every_operation(rekognition: Any) -> None:
    image = {"Bytes": painted((1, 40, 40, 60))}
    face_id = "00000000-0000-4000-8000-000000000000"
    calls: list[tuple[Any, dict[str, Any]]] = [
        (rekognition.describe_collection, {}),
        (rekognition.delete_collection, {}),
        (rekognition.index_faces, {"Image": image}),
        (rekognition.list_faces, {}),
        (rekognition.delete_faces, {"FaceIds": [face_id]}),
        (rekognition.search_faces, {"FaceId": face_id}),
        (rekognition.search_faces_by_image, {"Image": image}),
    ]
    for call, arguments in calls:
        with pytest.raises(
            rekognition.exceptions.ResourceNotFoundException,
            match="The collection id: nobody does not exist",
        ):
            call(CollectionId="nobody", **arguments)


@pytest.mark.parametrize("collection_id", ["a b", "a/b", "ä", "x" * 256])
def test_an_id_out_of_pattern_is_refused_by_name(rekognition: Any, collection_id: str) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match=r"(?i)collectionId"):
        rekognition.create_collection(CollectionId=collection_id)


@pytest.mark.parametrize("collection_id", [".", "..", "__init__.py", "x" * 255])
def test_every_legal_id_works(rekognition: Any, collection_id: str) -> None:
    rekognition.create_collection(CollectionId=collection_id)
    assert rekognition.list_collections()["CollectionIds"] == [collection_id]


def test_regions_have_collections_of_their_own(start_api: StartApi) -> None:
    url = start_api()
    here, there = client_of(url), client_of(url, "us-west-2")
    here.create_collection(CollectionId="team")
    created = there.create_collection(CollectionId="team")
    assert created["CollectionArn"] == f"aws:rekognition:us-west-2:{ACCOUNT}:collection/team"
    here.delete_collection(CollectionId="team")
    assert there.list_collections()["CollectionIds"] == ["team"]


def test_boto3_pages_through_collections(rekognition: Any) -> None:
    names = ["x" * 250 + str(number) for number in range(7)]
    for name in names:
        rekognition.create_collection(CollectionId=name)
    pages = list(
        rekognition.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 3})
    )
    assert [len(page["CollectionIds"]) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page["CollectionIds"]] == names
    assert all(len(page["FaceModelVersions"]) == len(page["CollectionIds"]) for page in pages)
    assert len(rekognition.list_collections(MaxResults=3)["NextToken"]) <= 255
    assert "NextToken" not in rekognition.list_collections(MaxResults=7)
    assert len(rekognition.list_collections(MaxResults=0)["CollectionIds"]) == 7


def test_a_token_serves_only_the_listing_that_gave_it(start_api: StartApi) -> None:
    url = start_api()
    client, elsewhere = client_of(url), client_of(url, "us-west-2")
    for name in ("a", "b"):
        client.create_collection(CollectionId=name)
    token = client.list_collections(MaxResults=1)["NextToken"]
    attempts = [
        (client, f"{token[:-4]}AAAA"),
        (client, "garbage"),
        (client, ""),
        (client, "ä"),
        (client, f" {token}"),
        (elsewhere, token),
    ]
    for caller, wrong in attempts:
        with pytest.raises(
            caller.exceptions.InvalidPaginationTokenException, match="Invalid Pagination Token"
        ):
            caller.list_collections(MaxResults=1, NextToken=wrong)
    with pytest.raises(client.exceptions.InvalidPaginationTokenException):
        client.list_faces(CollectionId="a", NextToken=token)


def test_a_collection_of_another_pack_can_be_seen_but_not_used(start_api: StartApi) -> None:
    class OtherEngine:
        """The painted faces under another pack's name."""

        def __init__(self) -> None:
            self._engine = FakeEngine()
            self.info = replace(self._engine.info, pack="circles", model_version="2.16")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

    client_of(start_api()).create_collection(CollectionId="team")
    later = client_of(start_api(OtherEngine()))
    image = {"Bytes": painted((1, 40, 40, 60))}
    assert later.describe_collection(CollectionId="team")["FaceModelVersion"] == "1.16"
    for call in (later.index_faces, later.search_faces_by_image):
        with pytest.raises(
            later.exceptions.InvalidParameterException, match=r"pack squares .*pack circles"
        ):
            call(CollectionId="team", Image=image)
    later.delete_collection(CollectionId="team")


def test_errors_carry_a_request_id_and_the_documented_status(rekognition: Any) -> None:
    with pytest.raises(ClientError) as caught:
        rekognition.describe_collection(CollectionId="nobody")
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 400
    assert metadata["RequestId"]
