"""Celebrities in a clip: painted ones, and photos rendered to a film."""

import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import pytest
import pytest_asyncio

from streamproc.clock import SystemClock
from streamproc.collection.service import CollectionService
from streamproc.decode.stored import StoredVideo
from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.errors import StreamprocError
from streamproc.jobs.analyses.celebrities import Celebrities
from streamproc.model.job import JobKind
from streamproc.model.media import Image
from streamproc.model.person import Celebrity
from streamproc.model.video import VideoFrame
from streamproc.settings import EngineConfig
from tests.jobs.people_in_clips import (
    REGION,
    EngineVision,
    StubLibrary,
    answers,
    at_fps,
    cosine,
    looks,
    painted,
    spec,
)

CLARA = Celebrity("clara1", "Clara", ("www.example.com/clara",), "Female")
JOHN = Celebrity("john9", "John")
LIBRARY = StubLibrary(celebrities={"clara1": (CLARA, looks(c=1)), "john9": (JOHN, looks(j=1))})


def recognition(library: StubLibrary = LIBRARY) -> Celebrities:
    return Celebrities(
        spec(JobKind.CELEBRITY_RECOGNITION), EngineVision(), library, 5.0, cosine, 95.0
    )


async def test_only_the_known_are_listed_with_what_is_known_of_them() -> None:
    images = [painted((2, 20 + 10 * step, 60), (5, 240, 150)) for step in range(4)]
    listed = await answers(recognition(), at_fps(images))
    assert [timestamp for timestamp, _, _ in listed] == [0, 200, 400, 600]
    for _, body, sort_key in listed:
        assert set(body) == {"Celebrity"}
        celebrity = body["Celebrity"]
        assert set(celebrity.pop("Face")) >= {"BoundingBox", "Confidence", "Landmarks"}
        assert celebrity == {
            "Id": "clara1",
            "Name": "Clara",
            "Urls": ["www.example.com/clara"],
            "KnownGender": {"Type": "Female"},
            "Confidence": 100.0,
        }
        assert sort_key == "clara1"


async def test_a_gender_that_nobody_told_is_absent() -> None:
    [(_, body, _)] = await answers(recognition(), at_fps([painted((9, 20, 60))]))
    assert body["Celebrity"]["Urls"] == []
    assert "KnownGender" not in body["Celebrity"]


async def test_who_looks_like_two_is_the_one_they_look_like_most() -> None:
    both = {**LIBRARY.celebrities, "cousin": (Celebrity("cousin", "Cousin"), looks(c=1, d=0.5))}
    listed = await answers(
        recognition(StubLibrary(celebrities=both)), at_fps([painted((2, 20, 60))] * 3)
    )
    assert {body["Celebrity"]["Id"] for _, body, _ in listed} == {"clara1"}


async def test_a_celebrity_is_not_there_twice_at_once() -> None:
    """Of two who resemble one photo side by side, the more similar is it."""
    person = (Celebrity("one", "One"), looks(c=1, d=0.6))
    listed = await answers(
        recognition(StubLibrary(celebrities={"one": person})),
        at_fps([painted((2, 20, 60), (3, 240, 60))] * 3),
    )
    assert len(listed) == 3
    assert all(body["Celebrity"]["Face"]["BoundingBox"]["Left"] < 0.5 for _, body, _ in listed)


@pytest.mark.parametrize("people", [(), ((2, 20, 60),)])
async def test_without_celebrities_the_remedy_is_told_at_once(
    people: tuple[tuple[int, int, int], ...],
) -> None:
    analysis = recognition(StubLibrary())
    with pytest.raises(StreamprocError, match=r"celebrities = true.*streamproc collections apply"):
        await analysis.look(VideoFrame(0, painted(*people)))
    with pytest.raises(StreamprocError, match=REGION):
        await recognition(StubLibrary()).finish()


async def test_a_video_without_faces_lists_nobody() -> None:
    assert await answers(recognition(), at_fps([painted()] * 5)) == []


# Which of the photos of known people are shown, and who is in them, as the files are named.
_SHOTS = (
    ("obama1.jpg", ("obama",)),
    ("kit_with_rose.jpg", ("kit", "rose")),
    ("alex_lacamoire1.jpg", ("alex",)),
    ("obama_and_biden.jpg", ("obama", "biden")),
    ("johnsnow_test1.jpg", ("kit",)),
)
_STRANGERS = ("Bill_Clinton", "Howard_Dean", "Jennifer_Garner", "James_Blake")
_PHOTOS = {
    "obama": ("obama/obama.jpg", "obama/obama2.jpg"),
    "biden": ("biden/biden.jpg", "biden/biden2.jpg"),
    "kit": ("kit_harington/john1.jpeg", "kit_harington/john2.jpeg"),
    "rose": ("rose_leslie/img1.jpg", "rose_leslie/img2.jpg"),
    "alex": ("alex_lacamoire/img1.jpg",),
}
_SHOT_FRAMES = 3
_FPS = 5


@pytest.fixture(scope="module")
def mbf(testdata: Path) -> FaceEngine:
    return load_engine(EngineConfig(pack=str(testdata / "models" / "mbf_arcface")))


@pytest_asyncio.fixture
async def registry(
    testdata: Path, mbf: FaceEngine, tmp_path: Path
) -> AsyncIterator[CollectionService]:
    service = await CollectionService.open(
        tmp_path / "faces.db", mbf.info, mbf.similarity, mbf.cosine, "123456789012", SystemClock()
    )
    await service.create(REGION, "famous")
    folder = testdata / "photos" / "face_recognition" / "knn" / "train"
    for name, files in _PHOTOS.items():
        for file in files:
            [face] = mbf.analyse([read(folder / file)])[0]
            await service.add_faces(REGION, "famous", file, name, [face])
    await service.put_people(REGION, "famous", [Celebrity(name, name.title()) for name in _PHOTOS])
    yield service
    await service.aclose()


@pytest.mark.testdata
async def test_photos_of_celebrities_are_recognised_and_strangers_are_not_listed(
    testdata: Path, mbf: FaceEngine, registry: CollectionService, tmp_path: Path
) -> None:
    famous = testdata / "photos" / "face_recognition" / "knn" / "test"
    lfw = testdata / "lfw" / "gallery"
    shots: list[tuple[Path, tuple[str, ...]]] = [(famous / file, who) for file, who in _SHOTS]
    for place, name in enumerate(_STRANGERS):  # between the known ones, and in their place
        shots.insert(2 * place + 1, (lfw / name / f"{name}_0001.jpg", ()))
    film = tmp_path / "photos.mp4"
    render(film, [read(file) for file, _ in shots])

    analysis = Celebrities(
        spec(JobKind.CELEBRITY_RECOGNITION), EngineVision(mbf), registry, _FPS, mbf.cosine, 95.0
    )
    listed = await answers(analysis, StoredVideo(film, "photos.mp4").frames(_FPS))
    seen: list[list[str]] = [[] for _ in range(_SHOT_FRAMES * len(shots))]
    for timestamp_ms, body, sort_key in listed:
        assert body["Celebrity"]["Id"] == sort_key
        assert body["Celebrity"]["Confidence"] >= 95.0
        seen[timestamp_ms * _FPS // 1000].append(sort_key)
    for step, ids in enumerate(seen):
        file, who = shots[step // _SHOT_FRAMES]
        assert sorted(ids) == sorted(who), f"{file.name}, frame {step}"


def read(file: Path) -> Image:
    return cast("Image", cv2.imread(str(file)))


def render(path: Path, pictures: Sequence[Image]) -> None:
    """Each for some frames of 640 × 480, held by a hand that is not quite steady."""
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for image in _frames(pictures):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        output.mux(stream.encode(None))


def _frames(pictures: Sequence[Image]) -> Iterator[Image]:
    for picture in pictures:
        scale = min(600 / picture.shape[1], 440 / picture.shape[0])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = small.shape[:2]
        for step in range(_SHOT_FRAMES):
            image = np.full((480, 640, 3), 60, np.uint8)
            left = (640 - width) // 2 + 5 * step
            top = (480 - height) // 2 + zlib.crc32(bytes([step])) % 9
            image[top : top + height, left : left + width] = small
            yield image
