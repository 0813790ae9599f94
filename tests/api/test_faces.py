"""Faces of a collection, as boto3 sees them."""

import re
from typing import Any

import pytest

from tests.api.conftest import StartApi
from tests.api.live_api import client_of, painted

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANN, BOB, EVE = 1, 5, 9


@pytest.fixture
def team(rekognition: Any) -> Any:
    """A client with an empty collection, "team"."""
    rekognition.create_collection(CollectionId="team")
    return rekognition


def index(client: Any, image: bytes, external_id: str | None = None, **options: Any) -> Any:
    named = {} if external_id is None else {"ExternalImageId": external_id}
    return client.index_faces(
        CollectionId="team", Image={"Bytes": image}, QualityFilter="NONE", **named, **options
    )


def search(client: Any, image: bytes, **options: Any) -> Any:
    return client.search_faces_by_image(CollectionId="team", Image={"Bytes": image}, **options)


def test_indexed_faces_are_found_and_strangers_are_not(team: Any) -> None:
    index(team, painted((ANN, 40, 40, 60)), "ann")
    index(team, painted((BOB, 40, 40, 60)), "bob")
    for person, name in ((ANN, "ann"), (BOB, "bob")):
        [match] = search(team, painted((person, 150, 90, 100)))["FaceMatches"]
        assert match["Face"]["ExternalImageId"] == name
        assert match["Similarity"] == pytest.approx(100)
    assert search(team, painted((EVE, 40, 40, 60)))["FaceMatches"] == []


def test_index_faces_answers_with_every_face_largest_first(team: Any) -> None:
    answer = index(team, painted((ANN, 10, 10, 40), (BOB, 100, 80, 100)), "pair")
    assert answer["FaceModelVersion"] == "1.16"
    assert answer["UnindexedFaces"] == []
    first, second = answer["FaceRecords"]
    assert first["FaceDetail"]["BoundingBox"] == pytest.approx(
        {"Left": 100 / 320, "Top": 80 / 240, "Width": 100 / 320, "Height": 100 / 240}
    )
    assert first["Face"]["ImageId"] == second["Face"]["ImageId"]
    assert first["Face"]["FaceId"] != second["Face"]["FaceId"]
    for record in answer["FaceRecords"]:
        face, detail = record["Face"], record["FaceDetail"]
        assert UUID.fullmatch(face["FaceId"])
        assert UUID.fullmatch(face["ImageId"])
        assert face["ExternalImageId"] == "pair"
        assert face["IndexFacesModelVersion"] == "1.16"
        assert face["Confidence"] == detail["Confidence"] == 99.0
        assert face["BoundingBox"] == pytest.approx(detail["BoundingBox"], rel=1e-5)
        assert [mark["Type"] for mark in detail["Landmarks"]] == [
            "eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight",
        ]  # fmt: skip
        assert set(detail["Pose"]) == {"Roll", "Yaw", "Pitch"}
        assert set(detail["Quality"]) == {"Brightness", "Sharpness"}
    assert team.describe_collection(CollectionId="team")["FaceCount"] == 2


def test_the_same_picture_is_indexed_once_per_external_id(team: Any) -> None:
    picture = painted((ANN, 40, 40, 60))
    once, again = (index(team, picture, "ann")["FaceRecords"] for _ in range(2))
    assert [record["Face"] for record in again] == [record["Face"] for record in once]
    [other] = index(team, picture, "annie")["FaceRecords"]
    assert other["Face"]["FaceId"] != once[0]["Face"]["FaceId"]
    assert other["Face"]["ImageId"] != once[0]["Face"]["ImageId"]
    assert team.describe_collection(CollectionId="team")["FaceCount"] == 2


def test_max_faces_keeps_the_largest_and_tells_of_the_others(team: Any) -> None:
    answer = index(team, painted((ANN, 10, 10, 40), (BOB, 100, 80, 100)), "pair", MaxFaces=1)
    [record] = answer["FaceRecords"]
    assert record["FaceDetail"]["BoundingBox"]["Left"] == pytest.approx(100 / 320)
    [left_out] = answer["UnindexedFaces"]
    assert left_out["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert left_out["FaceDetail"]["BoundingBox"]["Left"] == pytest.approx(10 / 320)


def test_the_quality_filter_says_why_a_face_was_left_out(team: Any) -> None:
    picture = {"Bytes": painted((ANN, 40, 40, 16))}
    answer = team.index_faces(CollectionId="team", Image=picture, QualityFilter="HIGH")
    assert answer["FaceRecords"] == []
    # A painted square is one plain surface.
    assert answer["UnindexedFaces"][0]["Reasons"] == ["SMALL_BOUNDING_BOX", "LOW_SHARPNESS"]
    [kept] = index(team, picture["Bytes"])["FaceRecords"]
    assert kept["FaceDetail"]["Quality"]["Sharpness"] < 5


def test_a_picture_without_faces_indexes_nothing(team: Any) -> None:
    answer = index(team, painted())
    assert (answer["FaceRecords"], answer["UnindexedFaces"]) == ([], [])


def test_only_the_largest_faces_of_a_crowd_are_looked_at(start_api: StartApi) -> None:
    client = client_of(start_api(faces={"faces_per_image_max": 2}))
    client.create_collection(CollectionId="team")
    crowd = painted((ANN, 10, 10, 30), (BOB, 100, 10, 60), (EVE, 200, 10, 50))
    assert len(index(client, crowd)["FaceRecords"]) == 2
    assert len(client.detect_faces(Image={"Bytes": crowd})["FaceDetails"]) == 2


def test_an_external_id_out_of_pattern_is_refused(team: Any) -> None:
    with pytest.raises(team.exceptions.InvalidParameterException, match=r"(?i)externalImageId"):
        index(team, painted((ANN, 40, 40, 60)), "ann/1")


def test_search_takes_the_largest_face(team: Any) -> None:
    index(team, painted((ANN, 40, 40, 60)), "ann")
    index(team, painted((BOB, 40, 40, 60)), "bob")
    answer = search(team, painted((ANN, 10, 10, 40), (BOB, 100, 80, 100)))
    assert [match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]] == ["bob"]
    assert answer["SearchedFaceBoundingBox"]["Left"] == pytest.approx(100 / 320)
    assert answer["SearchedFaceConfidence"] == 99.0
    assert answer["FaceModelVersion"] == "1.16"


def test_a_search_without_a_face_is_refused_in_the_documented_words(team: Any) -> None:
    words = r"There are no faces in the image\. Should be at least 1\."
    with pytest.raises(team.exceptions.InvalidParameterException, match=words):
        search(team, painted())
    with pytest.raises(team.exceptions.InvalidParameterException, match=words):
        search(team, painted((ANN, 40, 40, 16)), QualityFilter="HIGH")


def test_threshold_and_max_faces_bound_what_a_search_gives(team: Any) -> None:
    for number in range(3):
        index(team, painted((ANN, 40 + number, 40, 60)), f"ann{number}")
    index(team, painted((BOB, 40, 40, 60)), "bob")
    picture = painted((ANN, 40, 40, 60))
    assert len(search(team, picture)["FaceMatches"]) == 3
    assert len(search(team, picture, MaxFaces=2)["FaceMatches"]) == 2
    assert len(search(team, picture, FaceMatchThreshold=0)["FaceMatches"]) == 4
    assert len(search(team, picture, FaceMatchThreshold=100)["FaceMatches"]) == 3
    for wrong in ({"FaceMatchThreshold": 100.5}, {"MaxFaces": 5000}):
        with pytest.raises(team.exceptions.InvalidParameterException):
            search(team, picture, **wrong)


def test_the_default_threshold_is_a_setting(start_api: StartApi) -> None:
    client = client_of(start_api(faces={"search_threshold": 0}))
    client.create_collection(CollectionId="team")
    index(client, painted((ANN, 40, 40, 60)), "ann")
    assert len(search(client, painted((BOB, 40, 40, 60)))["FaceMatches"]) == 1


def test_a_face_searches_for_others_like_it(team: Any) -> None:
    [record] = index(team, painted((ANN, 40, 40, 60)), "ann")["FaceRecords"]
    face_id = record["Face"]["FaceId"]
    assert team.search_faces(CollectionId="team", FaceId=face_id)["FaceMatches"] == []
    index(team, painted((ANN, 41, 40, 60)), "annie")
    answer = team.search_faces(CollectionId="team", FaceId=face_id)
    assert answer["SearchedFaceId"] == face_id
    assert [match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]] == ["annie"]
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(
        team.exceptions.InvalidParameterException,
        match=f"faceId was not found in the collection: there is no {unknown} in team",
    ):
        team.search_faces(CollectionId="team", FaceId=unknown)


def test_deleted_faces_are_gone_and_unknown_ones_are_told(team: Any) -> None:
    [record] = index(team, painted((ANN, 40, 40, 60)), "ann")["FaceRecords"]
    face_id, unknown = record["Face"]["FaceId"], "00000000-0000-4000-8000-000000000000"
    assert search(team, painted((ANN, 40, 40, 60)))["FaceMatches"]
    answer = team.delete_faces(CollectionId="team", FaceIds=[unknown, face_id, face_id])
    assert answer["DeletedFaces"] == [face_id]
    assert answer["UnsuccessfulFaceDeletions"] == [
        {"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}
    ]
    assert search(team, painted((ANN, 40, 40, 60)))["FaceMatches"] == []
    assert team.list_faces(CollectionId="team")["Faces"] == []


def test_boto3_pages_through_faces(team: Any) -> None:
    for number in range(5):
        index(team, painted((ANN, 40 + number, 40, 60)), f"ann{number}")
    pages = list(
        team.get_paginator("list_faces").paginate(
            CollectionId="team", PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["Faces"]) for page in pages] == [2, 2, 1]
    listed = [face["FaceId"] for page in pages for face in page["Faces"]]
    assert listed == sorted(set(listed))
    assert pages[0]["FaceModelVersion"] == "1.16"
    chosen = team.list_faces(CollectionId="team", FaceIds=listed[1:3])["Faces"]
    assert [face["FaceId"] for face in chosen] == listed[1:3]


def test_a_faces_token_is_bound_to_its_arguments(team: Any) -> None:
    team.create_collection(CollectionId="other")
    for number in range(3):
        index(team, painted((ANN, 40 + number, 40, 60)), f"ann{number}")
    first = team.list_faces(CollectionId="team", MaxResults=1)
    face_id = first["Faces"][0]["FaceId"]
    for wrong in ({"CollectionId": "other"}, {"CollectionId": "team", "FaceIds": [face_id]}):
        with pytest.raises(team.exceptions.InvalidPaginationTokenException):
            team.list_faces(**wrong, NextToken=first["NextToken"])
    more = team.list_faces(CollectionId="team", NextToken=first["NextToken"], MaxResults=2)
    assert len(more["Faces"]) == 2


def test_listing_the_faces_of_a_user_is_refused_in_plain_words(team: Any) -> None:
    with pytest.raises(team.exceptions.InvalidParameterException, match="no users"):
        team.list_faces(CollectionId="team", UserId="ann")


def test_faces_survive_a_restart(start_api: StartApi) -> None:
    before = client_of(start_api())
    before.create_collection(CollectionId="team")
    [record] = index(before, painted((ANN, 40, 40, 60)), "ann")["FaceRecords"]
    after = client_of(start_api())  # beside the first one, which was never shut down
    [match] = search(after, painted((ANN, 40, 40, 60)))["FaceMatches"]
    assert match["Face"] == record["Face"]
