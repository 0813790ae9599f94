"""Everything that callers can make has a bound, and its error is the one that clients know."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.live_api import client_of, painted


def test_a_region_has_only_so_many_collections(start_api: Callable[..., str]) -> None:
    url = start_api(faces={"collections_max": 2})
    rekognition = client_of(url)
    for name in ("a", "b"):
        rekognition.create_collection(CollectionId=name)
    with pytest.raises(rekognition.exceptions.ServiceQuotaExceededException) as error:
        rekognition.create_collection(CollectionId="c")
    assert "as many as may be (faces.collections_max)" in str(error.value)
    with pytest.raises(rekognition.exceptions.ResourceAlreadyExistsException):
        rekognition.create_collection(CollectionId="a")

    client_of(url, "us-east-1").create_collection(CollectionId="c")
    rekognition.delete_collection(CollectionId="a")
    rekognition.create_collection(CollectionId="c")


def test_a_collection_has_only_so_many_faces(start_api: Callable[..., str]) -> None:
    rekognition = client_of(start_api(faces={"faces_per_collection_max": 2}))
    rekognition.create_collection(CollectionId="a")
    two = {"Image": {"Bytes": painted((1, 20, 20, 80), (2, 160, 60, 80))}, "QualityFilter": "NONE"}
    indexed = rekognition.index_faces(CollectionId="a", **two)["FaceRecords"]
    assert len(indexed) == 2
    third = {"Image": {"Bytes": painted((3, 20, 20, 80))}, "QualityFilter": "NONE"}
    with pytest.raises(rekognition.exceptions.ServiceQuotaExceededException) as error:
        rekognition.index_faces(CollectionId="a", **third)
    assert "would hold 3 faces; the most is 2 (faces.faces_per" in str(error.value)
    assert rekognition.describe_collection(CollectionId="a")["FaceCount"] == 2
    assert len(rekognition.list_faces(CollectionId="a")["Faces"]) == 2

    again = rekognition.index_faces(CollectionId="a", **two)["FaceRecords"]
    assert [record["Face"]["FaceId"] for record in again] == [
        record["Face"]["FaceId"] for record in indexed
    ], "a picture that is there already adds nothing"
    rekognition.delete_faces(CollectionId="a", FaceIds=[indexed[0]["Face"]["FaceId"]])
    rekognition.index_faces(CollectionId="a", **third)


@pytest.mark.parametrize("operation", ["delete_faces", "list_faces"])
def test_a_list_of_faces_is_only_so_long(rekognition: Any, operation: str) -> None:
    rekognition.create_collection(CollectionId="a")
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(4097)]
    getattr(rekognition, operation)(CollectionId="a", FaceIds=ids[:4096])
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="4096"):
        getattr(rekognition, operation)(CollectionId="a", FaceIds=ids)
