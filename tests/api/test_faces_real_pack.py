"""Real people and a real pack: who is indexed is found in other pictures, others are not."""

from pathlib import Path
from typing import Any

import pytest

from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.settings import EngineConfig
from tests.api.conftest import StartApi
from tests.api.live_api import client_of


@pytest.fixture(scope="module")
def mbf_arcface(testdata: Path) -> FaceEngine:
    return load_engine(EngineConfig(pack=str(testdata / "models" / "mbf_arcface")))


@pytest.fixture
def presidents(start_api: StartApi, mbf_arcface: FaceEngine, testdata: Path) -> Any:
    """A client with a collection "team" of obama and biden, one picture each."""
    client = client_of(start_api(mbf_arcface))
    client.create_collection(CollectionId="team")
    for name in ("obama", "biden"):
        answer = client.index_faces(
            CollectionId="team",
            Image=photo(testdata, f"{name}.jpg"),
            ExternalImageId=name,
            DetectionAttributes=["ALL"],
        )
        assert len(answer["FaceRecords"]) == 1
        assert answer["UnindexedFaces"] == []
    return client


def photo(testdata: Path, name: str) -> dict[str, bytes]:
    return {"Bytes": (testdata / "photos" / "face_recognition" / name).read_bytes()}


@pytest.mark.testdata
@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("obama2.jpg", "obama"),
        ("obama_small.jpg", "obama"),
        ("obama-240p.jpg", "obama"),
        ("knn/test/obama1.jpg", "obama"),
        ("knn/train/biden/biden2.jpg", "biden"),
    ],
)
def test_who_was_indexed_is_found_in_another_picture(
    presidents: Any, testdata: Path, name: str, person: str
) -> None:
    answer = presidents.search_faces_by_image(CollectionId="team", Image=photo(testdata, name))
    assert [match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]] == [person]
    assert answer["FaceMatches"][0]["Similarity"] >= 80


@pytest.mark.testdata
@pytest.mark.parametrize(
    "name", ["lin-manuel-miranda.png", "alex-lacamoire.png", "knn/test/johnsnow_test1.jpg"]
)
def test_a_stranger_matches_nobody(presidents: Any, testdata: Path, name: str) -> None:
    answer = presidents.search_faces_by_image(CollectionId="team", Image=photo(testdata, name))
    assert answer["FaceMatches"] == []
    assert answer["SearchedFaceConfidence"] > 50


@pytest.mark.testdata
def test_compare_faces_tells_two_people_apart(presidents: Any, testdata: Path) -> None:
    answer = presidents.compare_faces(
        SourceImage=photo(testdata, "biden.jpg"),
        TargetImage=photo(testdata, "knn/test/obama_and_biden.jpg"),
    )
    assert len(answer["FaceMatches"]) == 1
    assert answer["UnmatchedFaces"]


@pytest.mark.testdata
def test_the_pack_gives_an_age_band_and_a_gender_without_inventing_certainty(
    presidents: Any, testdata: Path
) -> None:
    [face] = presidents.detect_faces(Image=photo(testdata, "obama.jpg"), Attributes=["ALL"])[
        "FaceDetails"
    ]
    assert face["Gender"] == {"Value": "Male"}
    assert face["AgeRange"]["High"] - face["AgeRange"]["Low"] == 16
    assert "Smile" not in face


@pytest.mark.testdata
def test_auto_indexes_ordinary_photographs(
    start_api: StartApi, mbf_arcface: FaceEngine, testdata: Path
) -> None:
    client = client_of(start_api(mbf_arcface))
    client.create_collection(CollectionId="lfw")
    for picture in sorted(testdata.glob("lfw/gallery/*/*_0001.jpg"))[::4]:
        answer = client.index_faces(
            CollectionId="lfw", Image={"Bytes": picture.read_bytes()}, MaxFaces=1
        )
        assert len(answer["FaceRecords"]) == 1, picture.name
        assert all(left["Reasons"] == ["EXCEEDS_MAX_FACES"] for left in answer["UnindexedFaces"]), (
            picture.name
        )
