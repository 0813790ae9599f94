"""What the analyses find in real recordings and photos, held against what a person sees."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import pytest

from streamproc.decode.stored import StoredVideo
from streamproc.model.face import overlap
from tests.end_to_end.stored_video.conftest import Studio, read_photo, render, slideshow
from tests.jobs.test_face_search import ENROLLED_AT, shown
from tests.jobs.test_labels import TRUTH, edges_of

pytestmark = pytest.mark.testdata

CROWD = "facenet_pytorch_video.mp4"


def test_face_detection_finds_the_crowd(real_studio: Studio) -> None:
    """Five frames a second, the first of every slot, as benchmarks/plain_loop.py samples."""
    faces = real_studio.run("FaceDetection", CROWD)
    assert len(faces) >= 60
    assert [item["Timestamp"] for item in faces] == sorted(item["Timestamp"] for item in faces)
    assert len({item["Timestamp"] for item in faces}) == 21  # 4.2 s


@pytest.mark.parametrize("photo", TRUTH)
def test_labels_find_things_where_they_are(real_studio: Studio, testdata: Path, photo: str) -> None:
    """Where they are: see TRUTH, read off the photos by eye."""
    picture = read_photo(testdata / "photos" / "objects" / photo)
    picture = picture[: picture.shape[0] // 2 * 2]  # the encoder wants even sizes
    render(real_studio.folder / f"{photo}.mp4", [picture] * 10)
    labels = real_studio.run("LabelDetection", f"{photo}.mp4")
    by_time: dict[int, dict[str, Any]] = defaultdict(dict)
    for item in labels:
        by_time[item["Timestamp"]][item["Label"]["Name"]] = item["Label"]
    assert list(by_time) == [0, 500]
    for found in by_time.values():
        for name, truth in TRUTH[photo]:
            boxes = [edges_of(instance) for instance in found[name]["Instances"]]
            assert max(overlap(truth, box) for box in boxes) > 0.5, name
            for parent in found[name]["Parents"]:
                assert found[parent["Name"]]["Instances"] == []


def test_celebrities_are_named_and_strangers_are_not_listed(
    real_studio: Studio, testdata: Path, tmp_path: Path, run_cli: Any
) -> None:
    photos = testdata / "photos" / "face_recognition"
    folder = tmp_path / "stars"
    folder.mkdir()
    (folder / "manifest.toml").write_text(
        "celebrities = true\n"
        '[[people]]\nname = "Barack Obama"\nurls = ["https://www.example.org/obama"]\n'
        'gender = "Male"\nphotos = ["obama.jpg"]\n'
        '[[people]]\nname = "Lin-Manuel Miranda"\nphotos = ["lin.png"]\n'
    )
    (folder / "obama.jpg").write_bytes((photos / "obama.jpg").read_bytes())
    (folder / "lin.png").write_bytes((photos / "lin-manuel-miranda.png").read_bytes())
    applied = run_cli("collections", "apply", str(folder), "--endpoint-url", real_studio.daemon.url)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    slideshow(
        real_studio.folder / "stars.mp4",
        [photos / "obama2.jpg", photos / "biden.jpg", photos / "alex-lacamoire.png",
         photos / "two_people.jpg"],
    )  # fmt: skip

    listed = real_studio.run("CelebrityRecognition", "stars.mp4")

    # Biden (second 1) and Lacamoire (second 2) are strangers; Obama is half of the pair at the end.
    names: dict[str, set[int]] = defaultdict(set)
    for item in listed:
        names[item["Celebrity"]["Name"]].add(item["Timestamp"] // 1000)
    assert names == {"Barack Obama": {0, 3}}
    obama = listed[0]["Celebrity"]
    assert obama["Urls"] == ["www.example.org/obama"]
    assert obama["KnownGender"] == {"Type": "Male"}
    known = real_studio.rekognition.get_celebrity_info(Id=obama["Id"])
    assert (known["Name"], known["Urls"]) == ("Barack Obama", ["www.example.org/obama"])


def test_a_face_s_attributes_come_out_as_a_person_would_say(
    real_studio: Studio, testdata: Path
) -> None:
    photos = testdata / "photos" / "insightface"
    names = ["anger.png", "sad.png", "open_eyes.png", "close_eyes.jpeg", "happy.png"]
    slideshow(real_studio.folder / "moods.mp4", [photos / name for name in names])
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in real_studio.run("FaceDetection", "moods.mp4", FaceAttributes="ALL"):
        found[names[item["Timestamp"] // 1000]].append(item["Face"])
    assert set(found) == set(names)
    for face in found["anger.png"]:
        assert face["Emotions"][0]["Type"] == "ANGRY"
    for face in found["sad.png"]:
        assert face["Emotions"][0]["Type"] == "SAD"
    for face in found["open_eyes.png"]:
        assert face["EyesOpen"]["Value"] is True
    for face in found["close_eyes.jpeg"]:
        assert face["EyesOpen"]["Value"] is False
    for face in found["happy.png"]:
        assert face["Smile"]["Value"] is True
        assert {"AgeRange", "Gender", "MouthOpen", "Eyeglasses", "Pose", "Quality"} <= set(face)
        assert len(face["Landmarks"]) > 20


def test_face_search_finds_two_of_a_crowd_again_and_names_nobody_else(
    real_studio: Studio, testdata: Path
) -> None:
    """Who is who: see tests/jobs/test_face_search.py, read off the frames by eye."""
    frames = list(StoredVideo(testdata / "videos" / CROWD, CROWD).frames(5.0))
    early = frames[ENROLLED_AT].image
    height, width = early.shape[:2]
    real_studio.rekognition.create_collection(CollectionId="people")
    picture = cv2.imencode(".png", early)[1].tobytes()
    enrolled = set()
    for face in real_studio.rekognition.detect_faces(Image={"Bytes": picture})["FaceDetails"]:
        box = face["BoundingBox"]
        if (name := shown(ENROLLED_AT, box["Left"])) is not None:
            left, top = int((box["Left"] - box["Width"] / 2) * width), int(box["Top"] * height)
            side = int(2 * box["Width"] * width)
            cut = early[max(top - side // 4, 0) : top + side, max(left, 0) : left + side]
            real_studio.enrol(cut, name.replace(" ", "-"))
            enrolled.add(name)
    assert len(enrolled) == 2

    found: dict[str, list[int]] = defaultdict(list)
    step_of = {frame.timestamp_ms: step for step, frame in enumerate(frames)}
    for item in real_studio.run("FaceSearch", CROWD, CollectionId="people"):
        left = item["Person"]["Face"]["BoundingBox"]["Left"]
        truth = shown(step_of[item["Timestamp"]], left)
        named = [match["Face"]["ExternalImageId"] for match in item["FaceMatches"]]
        assert named == ([] if truth is None else [truth.replace(" ", "-")])
        if truth is not None:
            found[truth].append(item["Person"]["Index"])
    assert set(found) == enrolled
    for indexes in found.values():
        assert len(indexes) == len(frames)
        assert len(set(indexes)) == 1
