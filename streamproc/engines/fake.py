"""An engine whose faces are painted: for tests that need faces and no model.

A person is a plain square of one of sixteen strong colours. Person p (0 to 15) has hue
p * 22.5 degrees at full saturation and value; its embedding is the p-th unit vector of
sixteen, so the cosine of two pictures of one person is 1 and of two persons 0, and Similarity
is 100 times the cosine. Squares must not touch each other, must stand on a background that
is not saturated (grey, black, white), and be at least 16 pixels wide; they then survive
H.264 at any usual quality.
"""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.base import Sighting, step_by_step, touch
from streamproc.engines.quality import measure_quality
from streamproc.engines.ratios import box_in, landmarks_in
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Edges, Embedding, Face, Pose
from streamproc.model.media import Image

PERSONS = 16
_SIDE_MIN = 12  # pixels; chroma is halved and blurred by the codec, so below the 16 we promise
_SATURATION_MIN = 120
_VALUE_MIN = 90
_HUE_STEP = 180 / PERSONS  # OpenCV counts hue in half degrees

_CROP_SIDE = 16  # pixels

_MARKS = {  # of a face of side 1
    "eyeLeft": (0.3, 0.35),
    "eyeRight": (0.7, 0.35),
    "nose": (0.5, 0.55),
    "mouthLeft": (0.35, 0.75),
    "mouthRight": (0.65, 0.75),
}


class FakeEngine:
    """A FaceEngine over painted squares.

    before, if given, is called with each picture that is looked at, on the thread that looks:
    it may count, block or raise.
    """

    def __init__(self, before: Callable[[Sequence[Image]], None] | None = None) -> None:
        self._before = before

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            name="fake",
            pack="squares",
            model_version="1.16",
            dimension=PERSONS,
            providers=("CPU",),
            licence="Apache-2.0",
        )

    def analyse(
        self,
        images: Sequence[Image],
        *,
        attributes: bool = False,  # noqa: ARG002 (squares have none)
        embeddings: bool = True,
    ) -> list[list[Face]]:
        """The squares of each picture, largest first."""
        return step_by_step(self, images, attributes=False, embeddings=embeddings)

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        if self._before is not None:
            self._before([image])
        found = [one for one in _squares(image) if region is None or touch(one.box, region)]
        return sorted(found, key=lambda one: one.area, reverse=True)

    @property
    def looks_at_regions(self) -> bool:
        return True

    def crop(self, image: Image, sighting: Sighting) -> Image:
        left, top, right, bottom = (round(edge) for edge in sighting.box)
        side = (_CROP_SIDE, _CROP_SIDE)
        return cv2.resize(image[top:bottom, left:right], side, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    def embed(self, crops: Sequence[Image]) -> list[Embedding]:
        unit = np.eye(PERSONS, dtype=np.float32)
        return [unit[_person(crop)] for crop in crops]

    def describe(
        self,
        image: Image,
        sighting: Sighting,
        embedding: Embedding | None,
        *,
        attributes: bool = False,  # noqa: ARG002 (squares have none)
    ) -> Face:
        box = box_in(image, sighting.box)
        marks = dict(zip(_MARKS, sighting.points.tolist(), strict=True))
        return Face(
            box=box,
            confidence=sighting.confidence,
            landmarks=landmarks_in(image, marks),
            pose=Pose(0.0, 0.0, 0.0),
            quality=measure_quality(image, box),
            embedding=embedding,
        )

    def similarity(self, cosine: float) -> float:
        return min(max(cosine, 0.0), 1.0) * 100.0

    def cosine(self, similarity: float) -> float:
        return similarity / 100.0

    @staticmethod
    def paint(image: Image, person: int, left: int, top: int, size: int) -> None:
        """Draw a person into the picture; left, top and size are pixels.

        Raises ValueError if there is no such person or the square is too small to be found.
        """
        if not 0 <= person < PERSONS:
            raise ValueError(f"person {person} is not in 0..{PERSONS - 1}")
        if size < 16:
            raise ValueError(f"size {size} is below 16 pixels and may not survive a codec")
        hsv = np.array([[[round(person * _HUE_STEP), 255, 255]]], np.uint8)
        image[max(top, 0) : top + size, max(left, 0) : left + size] = cv2.cvtColor(
            hsv, cv2.COLOR_HSV2BGR
        )[0, 0]


def _squares(image: Image) -> Iterator[Sighting]:
    strong = _strong(_hsv(image))
    _, _, stats, _ = cv2.connectedComponentsWithStats(strong.astype(np.uint8))
    for left, top, width, height, area in stats[1:].tolist():
        if min(width, height) >= _SIDE_MIN and area >= 0.8 * width * height:
            points = np.array(list(_MARKS.values())) * (width, height) + (left, top)
            box = (float(left), float(top), float(left + width), float(top + height))
            yield Sighting(box, 99.0, points.astype(np.float32))


def _person(crop: Image) -> int:
    hsv = _hsv(crop)
    # Hue is a circle: the mean is taken of directions, so that reds do not average to green.
    angles = hsv[_strong(hsv), 0] * (np.pi / 90.0)
    mean = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())
    return round(float(mean) / (2 * np.pi) * PERSONS) % PERSONS


def _hsv(image: Image) -> Image:
    return cv2.cvtColor(image, cv2.COLOR_BGR2HSV)  # type: ignore[return-value]


def _strong(hsv: Image) -> NDArray[np.bool_]:
    return (hsv[..., 1] >= _SATURATION_MIN) & (hsv[..., 2] >= _VALUE_MIN)
