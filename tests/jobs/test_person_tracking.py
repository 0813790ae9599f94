"""Person tracking: bodies and faces on paper, then real people."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.decode.stored import StoredVideo
from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.engines.yolox import YoloxDetector
from streamproc.errors import EngineError
from streamproc.jobs.analyses.person_tracking import PersonTracking, with_faces
from streamproc.model.detection import Detection
from streamproc.model.face import BoundingBox, Face
from streamproc.model.job import JobKind
from streamproc.model.media import Image
from streamproc.model.video import VideoFrame
from streamproc.settings import EngineConfig
from tests.jobs.blind_vision import BlindVision
from tests.jobs.people_in_clips import answers, at_fps, spec

FPS = 5.0
SPEC = spec(JobKind.PERSON_TRACKING)


def body(left: float, top: float = 0.2, *, name: str = "person") -> Detection:
    """A standing person 0.2 wide and 0.8 high."""
    return Detection(name, 85.0, BoundingBox(left, top, 0.2, 0.8))


def face(left: float, top: float) -> Face:
    return Face(BoundingBox(left, top, 0.06, 0.08), 95.0)


@dataclass
class PaperVision(BlindVision):
    """Sees in a frame what was written down for its brightness."""

    bodies: Mapping[int, Sequence[Detection]]
    heads: Mapping[int, Sequence[Face]] = field(default_factory=dict)
    failure: Exception | None = None

    async def objects(self, image: Image) -> list[Detection]:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return list(self.bodies.get(int(image[0, 0, 0]), ()))

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        assert not attributes
        assert not embeddings, "nobody is searched for: the dear part is not needed"
        return list(self.heads.get(int(image[0, 0, 0]), ()))


@dataclass
class ModelVision(BlindVision):
    """Real models on threads, as a daemon has them; faces only with an engine."""

    detector: YoloxDetector
    engine: FaceEngine | None = None

    async def objects(self, image: Image) -> list[Detection]:
        return await asyncio.to_thread(self.detector.detect, image)

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        if self.engine is None:
            return []
        (found,) = await asyncio.to_thread(
            self.engine.analyse, [image], attributes=attributes, embeddings=embeddings
        )
        return found


def frames(count: int) -> list[Image]:
    return [np.full((48, 64, 3), number, np.uint8) for number in range(count)]


async def track(vision: PaperVision, count: int) -> list[tuple[int, dict[str, Any], str]]:
    return await answers(PersonTracking(SPEC, vision, FPS), at_fps(frames(count), FPS))


async def test_an_entry_is_a_body_with_its_index_and_the_face_that_was_seen() -> None:
    heads = {number: [face(0.37, 0.22)] for number in range(3)}
    listed = await track(PaperVision({n: [body(0.3)] for n in range(6)}, heads), 6)
    assert [timestamp for timestamp, _, _ in listed] == [0, 200, 400, 600, 800, 1000]
    box = {"Left": 0.3, "Top": 0.2, "Width": 0.2, "Height": 0.8}
    for number, (_, members, sort_key) in enumerate(listed):
        person = members["Person"]
        assert members.keys() == {"Person"}
        assert (person["Index"], person["BoundingBox"], sort_key) == (0, box, "00000000")
        assert ("Face" in person) == (number < 3)
    assert set(listed[0][1]["Person"]["Face"]) == {"BoundingBox", "Confidence", "Landmarks"}


async def test_only_persons_are_persons() -> None:
    seen = [body(0.1, name="dog"), body(0.6, name="chair"), body(0.3)]
    seen += [Detection("person", 15.0, BoundingBox(0.31, 0.2, 0.2, 0.8))]  # hardly anybody
    listed = await track(PaperVision(dict.fromkeys(range(5), seen)), 5)
    assert [members["Person"]["BoundingBox"]["Left"] for _, members, _ in listed] == [0.3] * 5


async def test_frames_are_looked_at_in_any_order_and_added_in_theirs() -> None:
    """What look does knows nothing of other frames, so several may be under way at once."""
    vision = PaperVision({number: [body(0.05 * number)] for number in range(8)})
    analysis = PersonTracking(SPEC, vision, FPS)
    film = list(at_fps(frames(8), FPS))
    looks = {frame.timestamp_ms: await analysis.look(frame) for frame in reversed(film)}
    items = [
        item
        for frame in film
        for item in analysis.add(frame.timestamp_ms, looks[frame.timestamp_ms])
    ]
    assert [item.timestamp_ms for item in items] == [frame.timestamp_ms for frame in film]
    assert len({item.group for item in items}) == 1
    assert {item.confidence for item in items} == {85.0}


async def test_a_video_in_which_nobody_is_has_no_persons() -> None:
    assert await track(PaperVision({}), 5) == []
    assert await track(PaperVision({}, {2: [face(0.4, 0.4)]}), 5) == []


async def test_what_fails_is_told_as_it_is() -> None:
    analysis = PersonTracking(SPEC, PaperVision({}, failure=EngineError("no power")), FPS)
    with pytest.raises(EngineError, match="no power"):
        await analysis.look(VideoFrame(0, frames(1)[0]))


def test_a_face_goes_to_the_body_whose_head_it_is() -> None:
    left, right = body(0.3), body(0.42)  # a couple: the boxes overlap by 0.08
    of_left, of_right = face(0.38, 0.22), face(0.47, 0.23)
    persons = with_faces([right, left], [of_left, of_right])
    assert [(person.body, person.face) for person in persons] == [
        (right, of_right),
        (left, of_left),
    ]


def test_a_face_has_one_body_and_a_body_one_face() -> None:
    one = face(0.38, 0.22)
    assert [person.face for person in with_faces([body(0.3), body(0.34)], [one])] == [one, None]
    best, other = face(0.37, 0.21), face(0.33, 0.4)  # the other is in the person's arms
    assert [person.face for person in with_faces([body(0.3)], [other, best])] == [best]


@pytest.mark.parametrize(("left", "top"), [(0.6, 0.22), (0.37, 0.05), (0.37, 0.8)])
def test_a_face_outside_the_upper_part_is_not_the_body_s(left: float, top: float) -> None:
    (person,) = with_faces([body(0.3)], [face(left, top)])
    assert person.face is None


def test_a_head_that_fills_the_picture_belongs_to_its_shoulders() -> None:
    close = Detection("person", 90.0, BoundingBox(0.05, 0.02, 0.9, 0.98))
    filling = Face(BoundingBox(0.2, 0.1, 0.6, 0.85), 95.0)
    assert with_faces([close], [filling])[0].face is filling


@pytest.fixture(scope="module")
def detector(testdata: Path) -> YoloxDetector:
    path = testdata / "models" / "analysis" / "yolox_nano_coco.onnx"
    return YoloxDetector(path, ["CPUExecutionProvider"], threads=2)


async def of_clip(
    path: Path, vision: ModelVision, fps: float
) -> dict[int, list[tuple[float, dict[str, Any]]]]:
    """Seconds and members of everybody's entries, by Index."""
    film = StoredVideo(path, path.name).frames(fps)
    people: dict[int, list[tuple[float, dict[str, Any]]]] = {}
    for timestamp_ms, members, _ in await answers(PersonTracking(SPEC, vision, fps), film):
        person = members["Person"]
        people.setdefault(person["Index"], []).append((timestamp_ms / 1000, person))
    return people


@pytest.mark.testdata
async def test_each_of_six_people_who_come_one_after_the_other_has_one_index(
    testdata: Path, detector: YoloxDetector
) -> None:
    """By eye, six people: each walks in from the lower left, stands at the table with their
    back to the camera and leaves to the right, and between two of them the room is empty for
    three seconds and more. Counted on contact sheets of the whole clip, one frame per second:
    a woman in a grey cardigan, a man in a dark jacket, a woman with long fair hair, a man with
    glasses, a woman in a grey jumper, a man in a grey shirt. The seconds below are the first
    and the last frame of the sheet that shows more of them than a shadow or a shoulder.

    All of the clip at the default rate: 697 frames, some 15 s of CPU.
    """
    by_eye = [(7, 19), (23, 44), (51, 69), (75, 86), (93, 119), (124, 135)]
    clip = testdata / "videos" / "one-by-one-person-detection.mp4"
    people = await of_clip(clip, ModelVision(detector), FPS)
    assert list(people) == [0, 1, 2, 3, 4, 5]
    for (came, went), seen in zip(by_eye, people.values(), strict=True):
        seconds = [second for second, _ in seen]
        assert came - 1 < seconds[0] <= came
        assert went <= seconds[-1] < went + 1
        assert len(seconds) >= 0.97 * (seconds[-1] - seconds[0]) * FPS


@pytest.mark.testdata
async def test_people_in_a_lobby_keep_their_index_and_have_their_faces(
    testdata: Path, detector: YoloxDetector
) -> None:
    """By eye, nine people stand in a row, the ninth of them hardly more than a forehead at the
    left edge; nobody comes or goes, and seven or eight faces can be seen."""
    engine = load_engine(EngineConfig(pack=str(testdata / "models" / "mbf_arcface")))
    clip = testdata / "kvs" / "output-get-media-non-increasing-timecode.mkv"
    people = await of_clip(clip, ModelVision(detector, engine), 2.0)
    assert len(people) in (8, 9)
    steady = [seen for seen in people.values() if seen[-1][0] - seen[0][0] > 10]
    assert len(steady) == 8
    faces = [sum("Face" in person for _, person in seen) / len(seen) for seen in steady]
    assert sum(share > 0.9 for share in faces) >= 7
    for seen in steady:
        for _, person in seen:
            if "Face" in person:
                box, head = person["BoundingBox"], person["Face"]["BoundingBox"]
                assert box["Left"] <= head["Left"] + head["Width"] / 2 <= box["Left"] + box["Width"]
