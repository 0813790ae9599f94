"""An engine whose faces are painted: for tests that need faces and no model.

A person is a plain square of one of sixteen strong colours. Person p (0 to 15) has hue
p * 22.5 degrees at full saturation and value; its embedding is the p-th unit vector of
sixteen, so the cosine of two pictures of one person is 1 and of two persons 0, and Similarity
is 100 times the cosine. Squares must not touch each other, must stand on a background that
is not saturated (grey, black, white), and be at least 16 pixels wide; they then survive
H.264 at any usual quality.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from streamproc.engines.quality import measure_quality
from streamproc.model.engine import EngineInfo
from streamproc.model.face import BoundingBox, Face, Landmark, Pose
from streamproc.model.media import Image

PERSONS = 16
_SIDE_MIN = 12  # pixels; chroma is halved and blurred by the codec, so below the 16 we promise
_SATURATION_MIN = 120
_VALUE_MIN = 90
_HUE_STEP = 180 / PERSONS  # OpenCV counts hue in half degrees

_MARKS = (
    ("eyeLeft", 0.3, 0.35),
    ("eyeRight", 0.7, 0.35),
    ("nose", 0.5, 0.55),
    ("mouthLeft", 0.35, 0.75),
    ("mouthRight", 0.65, 0.75),
)


class FakeEngine:
    """A FaceEngine over painted squares.

    before, if given, is called with the pictures on the thread that analyses them: it may
    count, block or raise.
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
        if self._before is not None:
            self._before(images)
        found = [_squares(image) for image in images]
        if embeddings:
            return found
        return [[replace(face, embedding=None) for face in faces] for faces in found]

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


def _squares(image: Image) -> list[Face]:
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    strong = (hsv[..., 1] >= _SATURATION_MIN) & (hsv[..., 2] >= _VALUE_MIN)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strong.astype(np.uint8))
    faces = []
    for label, (left, top, width, height, area) in enumerate(stats[1:], start=1):
        if min(width, height) < _SIDE_MIN or area < 0.8 * width * height:
            continue
        window = np.s_[top : top + height, left : left + width]
        faces.append(
            _face(image, _person(hsv[window][labels[window] == label]), left, top, width, height)
        )
    return sorted(faces, key=lambda face: face.box.area, reverse=True)


def _person(pixels: Image) -> int:
    # Hue is a circle: the mean is taken of directions, so that reds do not average to green.
    angles = pixels[:, 0] * (np.pi / 90.0)
    mean = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())
    return round(float(mean) / (2 * np.pi) * PERSONS) % PERSONS


def _face(image: Image, person: int, left: int, top: int, width: int, height: int) -> Face:
    rows, columns = image.shape[:2]
    box = BoundingBox(
        float(left / columns), float(top / rows), float(width / columns), float(height / rows)
    )
    embedding = np.zeros(PERSONS, np.float32)
    embedding[person] = 1.0
    return Face(
        box=box,
        confidence=99.0,
        landmarks=tuple(
            Landmark(name, box.left + x * box.width, box.top + y * box.height)
            for name, x, y in _MARKS
        ),
        pose=Pose(0.0, 0.0, 0.0),
        quality=measure_quality(image, box),
        embedding=embedding,
    )
