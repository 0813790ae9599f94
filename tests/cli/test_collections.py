"""streamproc collections apply: a folder in, a collection exactly like it out."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner, Result

from streamproc.cli import own_operations
from streamproc.cli.access import find_access
from streamproc.cli.collection_apply import (
    Call,
    Report,
    apply,
    compare,
    read_pictures,
    read_present,
)
from streamproc.cli.collection_folder import read_folder
from streamproc.cli.demo_video import EILEEN, SEAT_3
from streamproc.cli.main import app, main
from streamproc.engines.fake import FakeEngine
from streamproc.errors import StreamprocError
from streamproc.model.image_id import image_id_of
from tests.api.live_api import client_of, live_api, painted, png

REGION = "us-east-1"
ANN, BOB, EVE = painted((1, 40, 40, 60)), painted((2, 40, 40, 60)), painted((3, 40, 40, 60))
STARS = """
    celebrities = true
    [[people]]
    name = "Ann"
    id = "ann1"
    urls = ["https://example.com/ann"]
    gender = "Female"
    [[people]]
    name = "Bob"
    id = "bob1"
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Rekognition over painted faces."""
    with live_api(tmp_path_factory.mktemp("api"), FakeEngine(), {}) as address:
        yield address


@pytest.fixture
def rekognition(url: str) -> Iterator[Any]:
    client = client_of(url, REGION)
    yield client
    for collection_id in client.list_collections()["CollectionIds"]:
        client.delete_collection(CollectionId=collection_id)


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def run_apply(*arguments: object) -> Result:
        options = ["--endpoint-url", url, "--region", REGION]
        return CliRunner().invoke(
            app, ["collections", "apply", *map(str, arguments), *options], env={"COLUMNS": "200"}
        )

    return run_apply


def save(root: Path, files: Mapping[str, bytes | str], name: str = "team") -> Path:
    """The folder with exactly these files."""
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def enrolled(rekognition: Any, collection: str = "team") -> list[str]:
    """The external image ids of a collection's faces, sorted."""
    faces = rekognition.list_faces(CollectionId=collection)["Faces"]
    return sorted(face["ExternalImageId"] for face in faces)


def face_ids(rekognition: Any) -> dict[str, str]:
    faces = rekognition.list_faces(CollectionId="team")["Faces"]
    return {face["ExternalImageId"]: face["FaceId"] for face in faces}


def done(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def failure(result: Result) -> str:
    """What main() prints as one line before it exits with 1."""
    assert isinstance(result.exception, StreamprocError), result.output
    return str(result.exception)


def test_a_folder_becomes_a_collection(run: Any, rekognition: Any, tmp_path: Path) -> None:
    folder = save(tmp_path, {"ann/1.png": ANN, "ann/2.png": png_of(1), "bob.png": BOB})
    assert done(run(folder)) == [
        "team: created",
        "  + ann/1.png as ann",
        "  + ann/2.png as ann",
        "  + bob.png as bob",
        "  = 0 pictures unchanged",
    ]
    assert enrolled(rekognition) == ["ann", "ann", "bob"]
    found = rekognition.search_faces_by_image(CollectionId="team", Image={"Bytes": BOB})
    assert found["FaceMatches"][0]["Face"]["ExternalImageId"] == "bob"
    assert done(run(folder)) == ["team: nothing to do, 3 pictures"]


def png_of(person: int, size: int = 70) -> bytes:
    """Another picture of a person than those above."""
    return painted((person, 60, 50, size))


def test_only_what_differs_is_changed(run: Any, rekognition: Any, tmp_path: Path) -> None:
    done(run(save(tmp_path, {"ann.png": ANN, "bob.png": BOB, "eve.png": EVE})))
    before = face_ids(rekognition)
    lines = done(run(save(tmp_path, {"ann.png": ANN, "robert.png": BOB, "eve.png": png_of(3)})))
    assert sorted(lines) == sorted(
        [
            "team: changed",
            "  + eve.png as eve",
            "  + robert.png as robert",
            f"  - face {before['bob']} of bob",
            f"  - face {before['eve']} of eve",
            "  = 1 picture unchanged",
        ]
    )
    after = face_ids(rekognition)
    assert sorted(after) == ["ann", "eve", "robert"]
    assert after["ann"] == before["ann"]
    assert after["eve"] != before["eve"]


def test_a_dry_run_tells_and_changes_nothing(run: Any, rekognition: Any, tmp_path: Path) -> None:
    folder = save(tmp_path, {"ann.png": ANN})
    assert done(run(folder, "--dry-run"))[:2] == ["team: would be created", "  + ann.png as ann"]
    assert rekognition.list_collections()["CollectionIds"] == []
    done(run(folder))
    ann = face_ids(rekognition)["ann"]
    assert done(run(save(tmp_path, {"bob.png": BOB}), "--dry-run")) == [
        "team: would be changed",
        "  + bob.png as bob",
        f"  - face {ann} of ann",
        "  = 0 pictures unchanged",
    ]
    assert face_ids(rekognition) == {"ann": ann}


def test_what_the_api_has_added_is_taken_away(run: Any, rekognition: Any, tmp_path: Path) -> None:
    both = painted((1, 10, 40, 60), (2, 150, 40, 90))
    rekognition.create_collection(CollectionId="team")
    for external_id, picture in (("stray", EVE), ("bob", both)):  # of both it takes two faces
        rekognition.index_faces(
            CollectionId="team", ExternalImageId=external_id, Image={"Bytes": picture},
            QualityFilter="NONE",
        )  # fmt: skip
    rekognition.index_faces(CollectionId="team", Image={"Bytes": ANN}, QualityFilter="NONE")
    _, *lines, last = done(run(save(tmp_path, {"bob.png": both})))
    assert sorted(line.split(" of ")[1] for line in lines) == ["bob", "nobody", "stray"]
    assert last == "  = 1 picture unchanged"
    (face,) = rekognition.list_faces(CollectionId="team")["Faces"]
    assert face["BoundingBox"]["Width"] == pytest.approx(90 / 320)


def test_the_largest_face_is_taken_and_that_is_told(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    folder = save(tmp_path, {"bob.png": painted((1, 10, 40, 60), (2, 150, 40, 90))})
    assert f"{folder}/bob.png shows 2 faces; the largest was taken" in done(run(folder))
    found = rekognition.search_faces_by_image(CollectionId="team", Image={"Bytes": BOB})
    assert len(found["FaceMatches"]) == 1


def test_photos_of_no_use_are_listed_and_all_else_is_done(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    files = {"ann.png": ANN, "empty.png": painted(), "torn.png": BOB[:200], "dot.png": tiny()}
    folder = save(tmp_path, files)
    result = run(folder)
    assert failure(result) == "3 photos could not be used; everything else was applied"
    assert result.exit_code == 1
    told = sorted(result.stderr.splitlines())
    assert told[0].startswith(f"{folder}/dot.png: Request has invalid parameters. Image: ")
    assert told[1] == f"{folder}/empty.png: no face was found"
    assert told[2].startswith(f"{folder}/torn.png: Request has invalid image format.")
    assert enrolled(rekognition) == ["ann"]
    assert failure(run(folder)).startswith("3 photos")


def tiny() -> bytes:
    file = BytesIO()
    Pillow.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


def test_one_picture_twice_is_one_picture(run: Any, rekognition: Any, tmp_path: Path) -> None:
    folder = save(tmp_path, {"ann/1.png": ANN, "ann/2.png": ANN})
    assert f"{folder}/ann/2.png is the same picture as ann/1.png" in done(run(folder))
    assert enrolled(rekognition) == ["ann"]
    assert "team: nothing to do, 1 picture" in done(run(folder))


def test_a_photo_larger_than_a_request_takes_is_sent_smaller(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    image = np.full((900, 2200, 3), 90, np.uint8)  # 5.7 MiB
    FakeEngine.paint(image, 1, 800, 200, 600)
    file = BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1])).save(file, "PNG", compress_level=0)
    assert len(file.getvalue()) > 5 * 1024 * 1024
    folder = save(tmp_path, {"ann.png": file.getvalue()})
    assert f"{folder}/ann.png is larger than 5 MiB; a smaller copy was sent" in done(run(folder))
    found = rekognition.search_faces_by_image(CollectionId="team", Image={"Bytes": ANN})
    assert found["FaceMatches"][0]["Face"]["ExternalImageId"] == "ann"
    assert done(run(folder)) == ["team: nothing to do, 1 picture"]


def test_an_empty_manifest_empties_the_collection(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    done(run(save(tmp_path, {"ann.png": ANN})))
    done(run(save(tmp_path, {"manifest.toml": ""})))
    assert enrolled(rekognition) == []


def test_celebrities_are_known_by_their_ids(run: Any, rekognition: Any, tmp_path: Path) -> None:
    lines = done(run(save(tmp_path, {"manifest.toml": STARS, "Ann.png": ANN, "Bob/1.png": BOB})))
    assert "  + Ann, celebrity ann1" in lines
    assert enrolled(rekognition) == ["ann1", "bob1"]
    info = rekognition.get_celebrity_info(Id="ann1")
    assert (info["Name"], info["Urls"]) == ("Ann", ["example.com/ann"])
    assert info["KnownGender"] == {"Type": "Female"}
    changed = STARS.replace("/ann", "/ann-ahn").replace("Bob", "Robert").replace("bob1", "rob1")
    faces = face_ids(rekognition)
    folder = save(tmp_path, {"manifest.toml": changed, "Ann.png": ANN, "Robert.png": BOB})
    assert done(run(folder)) == [
        "team: changed",
        "  + Robert.png as rob1",
        f"  - face {faces['bob1']} of bob1",
        "  ~ Ann, celebrity ann1",
        "  + Robert, celebrity rob1",
        "  - Bob, celebrity bob1",
        "  = 1 picture unchanged",
    ]
    assert rekognition.get_celebrity_info(Id="ann1")["Urls"] == ["example.com/ann-ahn"]
    assert done(run(folder)) == ["team: nothing to do, 2 pictures"]


def test_who_is_no_celebrity_any_more_leaves_the_registry(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    done(run(save(tmp_path, {"manifest.toml": STARS, "Ann.png": ANN, "Bob.png": BOB})))
    done(run(save(tmp_path, {"Ann.png": ANN})))
    assert enrolled(rekognition) == ["Ann"]
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException, match="ann1"):
        rekognition.get_celebrity_info(Id="ann1")


def test_all_folders_of_collections_are_applied_by_default(
    run: Any, rekognition: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "collections", {"ann.png": ANN}, "crew")
    save(tmp_path / "collections", {"manifest.toml": STARS, "Ann.png": ANN}, "stars")
    monkeypatch.chdir(tmp_path)
    lines = done(run())
    assert [line for line in lines if line.endswith("created")] == [
        "crew: created",
        "stars: created",
    ]
    assert "stars: there is no photo of Bob" in lines
    assert enrolled(rekognition, "crew") == ["ann"]
    assert enrolled(rekognition, "stars") == ["ann1"]


def test_a_wrong_folder_stops_everything_before_anything_happens(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    good = save(tmp_path, {"ann.png": ANN})
    bad = save(tmp_path, {"manifest.toml": "[[people]]", "ann.png": ANN}, "stars")
    assert failure(run(good, bad)) == f"{bad}/manifest.toml: people[0].name is missing"
    assert rekognition.list_collections()["CollectionIds"] == []


def test_a_collection_of_another_pack_is_refused_in_words(tmp_path: Path) -> None:
    class OtherEngine:
        """The painted faces under another pack's name."""

        def __init__(self) -> None:
            self._engine = FakeEngine()
            self.info = replace(self._engine.info, pack="circles", model_version="2.16")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

    folder = save(tmp_path / "photos", {"ann.png": ANN, "bob.png": BOB})
    arguments = ["collections", "apply", str(folder), "--region", REGION, "--endpoint-url"]
    with live_api(tmp_path, FakeEngine(), {}) as url:
        client_of(url, REGION).create_collection(CollectionId="team")
    other: Any = OtherEngine()
    with live_api(tmp_path, other, {}) as url:
        result = CliRunner().invoke(app, [*arguments, url])
        assert enrolled(client_of(url, REGION)) == []
    assert "collection team was made with pack squares" in failure(result)
    assert "index the pictures into a new collection" in failure(result)


def test_nobody_who_answers_is_said_in_words(tmp_path: Path) -> None:
    folder = str(save(tmp_path, {"ann.png": ANN}))
    arguments = ["collections", "apply", folder, "--endpoint-url"]
    closed = CliRunner().invoke(app, [*arguments, "http://127.0.0.1:9"])
    assert failure(closed).startswith("nothing answers at http://127.0.0.1:9; start it with")
    aws = CliRunner().invoke(app, [*arguments, "aws"])
    assert failure(aws).startswith("collections apply needs a streamproc: AWS makes up the ImageId")


def test_a_name_that_a_terminal_would_obey_is_shown_harmless(
    run: Any, rekognition: Any, tmp_path: Path
) -> None:
    folder = save(tmp_path, {"ann.png": ANN})
    (folder / "\x1b[2Jtrap.txt").touch()
    assert "\x1b" not in run(folder).output
    assert enrolled(rekognition) == ["ann"]


def test_an_error_is_a_harmless_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise StreamprocError("no \x1b[2J[red]")

    monkeypatch.setattr("streamproc.cli.main.app", fail)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == "streamproc: no \ufffd[2J[red]\n"


def test_the_image_id_is_what_the_service_says(run: Any, rekognition: Any, tmp_path: Path) -> None:
    done(run(save(tmp_path, {"ann.png": ANN})))
    (face,) = rekognition.list_faces(CollectionId="team")["Faces"]
    assert face["ImageId"] == image_id_of(hashlib.sha256(ANN).hexdigest(), "ann")


class Breakdown(Exception):
    pass


async def test_wherever_it_breaks_off_a_second_run_ends_it(
    url: str, rekognition: Any, tmp_path: Path
) -> None:
    """At each change, before it arrives and after: the connection breaks, then all is done
    again. What counts is what is there at the end."""
    access = await find_access(url, REGION)
    old: dict[str, bytes | str] = {"manifest.toml": STARS, "Ann.png": ANN, "Bob.png": BOB}
    new: dict[str, bytes | str] = {
        "manifest.toml": STARS.replace("Bob", "Eve").replace("bob1", "eve1"),
        "Ann.png": ANN, "Eve.png": EVE,
    }  # fmt: skip

    async def call(operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        return await own_operations.call(access, operation, payload)

    def breaking(at: int, *, arrives: bool) -> Call:
        changes = iter(range(1000))

        async def broken(operation: str, payload: dict[str, Any]) -> dict[str, Any]:
            if operation.startswith("List") or next(changes) != at:
                return await call(operation, payload)
            if arrives:
                await call(operation, payload)
            raise Breakdown(operation)

        return broken

    async def bring(call: Call, folder: Path) -> None:
        wanted, report = read_folder(folder), Report()
        pictures = await read_pictures(wanted, report, lambda: None)
        present = await read_present(call, wanted.collection_id)
        difference = compare(pictures, wanted.people, present)
        await apply(call, wanted, difference, report, lambda: None)

    for before in (None, old):
        broken_at = 0
        while True:
            for arrives in (False, True):
                await asyncio.to_thread(_forget, rekognition)
                if before:
                    await bring(call, save(tmp_path, before))
                folder = save(tmp_path, new)
                try:
                    await bring(breaking(broken_at, arrives=arrives), folder)
                except Breakdown:
                    await bring(call, folder)
                    over = False
                else:
                    over = True
                ids = await asyncio.to_thread(enrolled, rekognition)
                assert ids == ["ann1", "eve1"]
                people = await call("ListStreamprocPeople", {"CollectionId": "team"})
                assert [person["Name"] for person in people["People"]] == ["Ann", "Eve"]
            if over:
                break
            broken_at += 1
        assert broken_at >= 3


def _forget(rekognition: Any) -> None:
    for collection_id in rekognition.list_collections()["CollectionIds"]:
        rekognition.delete_collection(CollectionId=collection_id)


# --- with real faces ----------------------------------------------------------------------


def test_real_people_are_kept_as_the_manifest_names_them(
    start_daemon: Any, run_cli: Any, tmp_path: Path
) -> None:
    daemon = start_daemon()  # a whole one, with an engine that needs no test data
    manifest = 'celebrities = true\n[[people]]\nname = "Eileen Collins"\nid = "ec1"'
    photos = {"Eileen Collins.png": EILEEN, "stranger.png": SEAT_3}
    folder = save(tmp_path, {"manifest.toml": manifest}, "stars")
    for name, person in photos.items():
        (folder / name).write_bytes(png(person.portrait()))
    first = run_cli("collections", "apply", str(folder), "--endpoint-url", daemon.url)
    assert first.returncode == 0, first.stderr
    assert "stars: ignored, of nobody in manifest.toml: stranger.png" in first.stdout
    again = CliRunner().invoke(
        app, ["collections", "apply", str(folder), "--endpoint-url", daemon.url]
    )
    assert done(again)[-1] == "stars: nothing to do, 1 picture"
    assert daemon.client("rekognition").get_celebrity_info(Id="ec1")["Name"] == "Eileen Collins"
