"""streamproc collections: people added, shown and removed one by one, over painted faces."""

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner, Result

from streamproc.cli.collection_people import people_of
from streamproc.cli.main import app
from streamproc.engines.fake import FakeEngine
from tests.api.live_api import client_of, live_api, painted

REGION = "us-east-1"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live_api(tmp_path_factory.mktemp("api"), FakeEngine(), {}) as address:
        yield address


@pytest.fixture
def rekognition(url: str) -> Iterator[Any]:
    client = client_of(url, REGION)
    yield client
    for collection_id in client.list_collections()["CollectionIds"]:
        client.delete_collection(CollectionId=collection_id)


@pytest.fixture
def run(url: str, rekognition: Any) -> Callable[..., Result]:
    def run_collections(*arguments: object) -> Result:
        options = ["--endpoint-url", url, "--region", REGION]
        return CliRunner().invoke(app, ["collections", *map(str, arguments), *options])

    return run_collections


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    def save(name: str, *persons: tuple[int, int, int, int]) -> Path:
        file = tmp_path / name
        file.write_bytes(painted(*persons))
        return file

    return save


ANN, BOB = (1, 40, 40, 60), (2, 150, 40, 90)


def test_a_person_is_added_shown_and_removed(
    run: Any, said: Any, rekognition: Any, photo: Any
) -> None:
    one, two, bob = photo("1.png", ANN), photo("2.png", (1, 60, 50, 70)), photo("bob.png", BOB)
    assert said(run("add", "family", one, two, "--name", "ann")) == [
        "made the collection family",
        f"{one}: added to family as ann",
        f"{two}: added to family as ann",
    ]
    assert said(run("add", "family", bob)) == [f"{bob}: added to family as bob"]
    assert [row.split() for row in said(run("show", "family"))] == [
        ["person", "faces", "photos"],
        ["ann", "2", "2"],
        ["bob", "1", "1"],
    ]
    assert [row.split()[:2] for row in said(run())] == [["collection", "faces"], ["family", "3"]]
    assert said(run("remove", "family", "ann", "--yes")) == ["family: deleted 2 faces of ann"]
    (face,) = rekognition.list_faces(CollectionId="family")["Faces"]
    assert face["ExternalImageId"] == "bob"
    assert said(run("delete", "family", "--yes")) == ["deleted collection family with 1 face"]
    assert rekognition.list_collections()["CollectionIds"] == []


def test_of_several_faces_the_largest_is_taken_and_that_is_told(
    run: Any, said: Any, rekognition: Any, photo: Any
) -> None:
    group = photo("bob.png", ANN, BOB, (3, 20, 140, 50))
    words = said(run("add", "family", group))[-1]
    assert words.endswith("added to family as bob; it shows 3 faces, the largest was taken")
    (face,) = rekognition.list_faces(CollectionId="family")["Faces"]
    assert face["BoundingBox"]["Width"] == pytest.approx(90 / 320)


def test_photos_of_no_use_say_why_and_the_others_are_added(
    run: Any, said: Any, refusal: Any, rekognition: Any, photo: Any, tmp_path: Path
) -> None:
    empty, ann = photo("empty.png"), photo("ann.png", ANN)
    text = tmp_path / "letter.txt"
    text.write_text("dear ann")
    result = run("add", "family", empty, text, ann)
    assert refusal(result) == "2 photos could not be used"
    told = result.stderr.splitlines()
    assert told[0].startswith(f"{empty}: no face was found; take one that shows the face")
    assert told[1].startswith(f"{text}: Request has invalid image format.")
    assert len(rekognition.list_faces(CollectionId="family")["Faces"]) == 1
    missing = tmp_path / "none.png"
    assert refusal(run("add", "family", missing)).startswith(f"{missing} cannot be read")


def test_a_photo_that_lies_on_its_side_is_told_how_to_be_turned(
    run: Any, said: Any, refusal: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    # Painted squares are found whichever way they lie; these only where the light is above.
    upright = np.full((240, 320, 3), 90, np.uint8)
    FakeEngine.paint(upright, 1, 40, 40, 60)
    upright[:8] = 255
    analyse = FakeEngine.analyse

    def only_upright(self: Any, images: Any, **options: Any) -> Any:
        found = analyse(self, images, **options)
        return [
            faces if image[0].mean() > 240 else []
            for image, faces in zip(images, found, strict=True)
        ]

    monkeypatch.setattr(FakeEngine, "analyse", only_upright)
    picture = Pillow.fromarray(upright[:, :, ::-1]).rotate(90, expand=True)  # to the left
    file = BytesIO()
    picture.save(file, "PNG")
    photo = tmp_path / "ann.png"
    photo.write_bytes(file.getvalue())
    result = run("add", "family", photo)
    assert refusal(result) == "1 photo could not be used"
    assert result.stderr.strip() == (
        f"{photo}: no face was found as it is, but one if it is turned clockwise by 90 degrees; "
        "streamproc collections add does that with --turn 90"
    )
    assert said(run("add", "family", photo, "--turn", 90))[-1].endswith("added to family as ann")
    assert run("add", "family", photo, "--turn", 45).exit_code == 2


def test_an_unknown_person_or_collection_is_answered_with_the_nearest(
    run: Any, said: Any, refusal: Any, photo: Any
) -> None:
    said(run("add", "family", photo("ann.png", ANN)))
    assert refusal(run("remove", "family", "anne", "-y")) == (
        "there is no person anne; did you mean ann?"
    )
    for command in ("show", "delete"):
        assert refusal(run(command, "famly")) == (
            "there is no collection famly; did you mean family?"
        )
    assert refusal(run("add", "famly", photo("bob.png", BOB), "--no-create")) == (
        "there is no collection famly; did you mean family?"
    )


def test_json_is_what_the_operations_answer(
    run: Any, said: Any, rekognition: Any, photo: Any
) -> None:
    said(run("add", "family", photo("ann.png", ANN)))
    (listed,) = json.loads(run("list", "--json").stdout)["Collections"]
    assert listed["CollectionId"] == "family"
    assert listed["FaceCount"] == 1
    shown = json.loads(run("show", "family", "--json").stdout)
    assert shown["Faces"] == rekognition.list_faces(CollectionId="family")["Faces"]
    assert shown["People"] == []


def test_a_name_is_made_one_that_a_collection_takes(run: Any, said: Any, photo: Any) -> None:
    words = said(run("add", "family", photo("x.png", ANN), "--name", "Jürgen Müller"))[-1]
    assert words.endswith("added to family as Jurgen_Muller")


def test_people_are_told_by_name_and_the_nameless_last() -> None:
    faces = [
        {"ImageId": "1", "ExternalImageId": "zoe1"},
        {"ImageId": "1", "ExternalImageId": "zoe1"},
        {"ImageId": "2"},
        {"ImageId": "3", "ExternalImageId": "bob"},
    ]
    people = people_of({"Faces": faces, "People": [{"Id": "zoe1", "Name": "Ann Zoe"}]})
    assert [(each.shown, each.faces, each.photos) for each in people] == [
        ("Ann Zoe (zoe1)", 2, 1),
        ("bob", 1, 1),
        ("(no name)", 1, 1),
    ]
