"""Face detection lists every face of every frame, with what was asked for and could be told."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamproc.engines.base import FaceEngine
from streamproc.engines.detailed import DetailedEngine
from streamproc.engines.face_attributes import FaceAttributes
from streamproc.engines.fake import FakeEngine
from streamproc.engines.load import load_engine
from streamproc.engines.runtime import CPU
from streamproc.jobs.analyses.face_detection import FaceDetection
from streamproc.model.face import Face, Rated, Traits
from streamproc.model.job import JobKind, JobSpec
from streamproc.model.media import Image
from streamproc.model.video import ObjectRef, VideoFrame
from streamproc.settings import EngineConfig
from tests.jobs.blind_vision import BlindVision

ANN, BOB = 1, 5


class FaceVision(BlindVision):
    """A Vision that sees faces only, and remembers how it was asked."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self.asked: list[tuple[bool, bool]] = []

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        self.asked.append((attributes, embeddings))
        (faces,) = self._engine.analyse([image], attributes=attributes, embeddings=embeddings)
        if attributes and isinstance(self._engine, FakeEngine):
            smiling = Traits(smile=Rated(True, 90.0))
            return [replace(face, age=30, traits=smiling) for face in faces]
        return faces


def face_spec(**parameters: str) -> JobSpec:
    return JobSpec("eu-west-1", JobKind.FACE_DETECTION, ObjectRef("clips", "a.mp4"), parameters)


def painted_frame(timestamp_ms: int, *persons: tuple[int, int, int]) -> VideoFrame:
    """(person, left, size) each, in pixels of 320 × 240."""
    image = np.full((240, 320, 3), 90, np.uint8)
    for person, left, size in persons:
        FakeEngine.paint(image, person, left, 60, size)
    return VideoFrame(timestamp_ms, image)


async def listed(
    analysis: FaceDetection, *frames: VideoFrame
) -> list[tuple[int, Mapping[str, Any]]]:
    items = [
        item
        for frame in frames
        for item in analysis.add(frame.timestamp_ms, await analysis.look(frame))
    ]
    outcome = await analysis.finish()
    assert (outcome.items, outcome.groups) == ((), ())
    return [(item.timestamp_ms, item.body) for item in items]


async def test_every_face_of_every_frame_is_listed_the_largest_first() -> None:
    analysis = FaceDetection(face_spec(), FaceVision(FakeEngine()), fps=5.0)
    found = await listed(
        analysis,
        painted_frame(0, (ANN, 20, 60), (BOB, 150, 100)),
        painted_frame(200),
        painted_frame(400, (ANN, 20, 60)),
    )
    assert [timestamp for timestamp, _ in found] == [0, 0, 400]
    widths = [body["Face"]["BoundingBox"]["Width"] * 320 for _, body in found]
    assert widths == pytest.approx([100, 60, 60])
    assert {key for _, body in found for key in body} == {"Face"}


@pytest.mark.parametrize(
    ("parameters", "asked", "told"),
    [
        ({}, False, set()),
        ({"FaceAttributes": "DEFAULT"}, False, set()),
        ({"FaceAttributes": "ALL"}, True, {"AgeRange", "Smile"}),
    ],
)
async def test_attributes_are_measured_for_who_asked_and_faces_are_never_compared(
    parameters: dict[str, str], asked: bool, told: set[str]
) -> None:
    vision = FaceVision(FakeEngine())
    analysis = FaceDetection(face_spec(**parameters), vision, fps=5.0)
    [(_, body)] = await listed(analysis, painted_frame(0, (ANN, 20, 60)))
    assert vision.asked == [(asked, False)]
    by_default = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert set(body["Face"]) == by_default | told


def test_it_says_how_often_it_looks_and_has_no_model_of_its_own() -> None:
    analysis = FaceDetection(face_spec(), FaceVision(FakeEngine()), fps=2.5)
    assert (analysis.fps, analysis.model_version) == (2.5, "")


@pytest.fixture(scope="module")
def real_vision(testdata: Path) -> FaceVision:
    models = testdata / "models"
    engine = load_engine(EngineConfig(pack=str(models / "mbf_arcface")))
    return FaceVision(DetailedEngine(engine, FaceAttributes(models / "analysis", [CPU], 2)))


@pytest.mark.testdata
async def test_photographs_on_film_show_what_the_people_feel_and_do(
    real_vision: FaceVision, testdata: Path
) -> None:
    names = ("anger.png", "sad.png", "happy.png", "open_eyes.png", "close_eyes.jpeg")
    frames = [
        VideoFrame(number * 500, on_film(testdata / "photos" / "insightface" / name))
        for number, name in enumerate(names)
    ]
    analysis = FaceDetection(face_spec(FaceAttributes="ALL"), real_vision, fps=2.0)
    found = await listed(analysis, *frames)
    assert [timestamp for timestamp, _ in found] == [0, 500, 1000, 1500, 2000]
    anger, sad, happy, open_eyes, closed_eyes = (body["Face"] for _, body in found)
    firsts = [face["Emotions"][0]["Type"] for face in (anger, sad, happy)]
    assert firsts == ["ANGRY", "SAD", "HAPPY"]
    assert happy["Smile"]["Value"]
    assert open_eyes["EyesOpen"]["Value"]
    assert not closed_eyes["EyesOpen"]["Value"]
    for face in (anger, sad, happy, open_eyes, closed_eyes):
        assert len(face["Landmarks"]) == 30
        assert {"AgeRange", "Gender", "Smile", "MouthOpen", "Eyeglasses"} <= set(face)


def on_film(path: Path) -> Image:
    """A photograph in the middle of a frame of 960 × 720."""
    photo = cv2.imread(str(path))
    assert photo is not None, path
    scale = min(960 / photo.shape[1], 720 / photo.shape[0])
    scaled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = scaled.shape[:2]
    frame = np.zeros((720, 960, 3), np.uint8)
    top, left = (720 - height) // 2, (960 - width) // 2
    frame[top : top + height, left : left + width] = scaled
    return frame
