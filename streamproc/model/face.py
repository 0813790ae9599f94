"""Faces, where they are in a picture and whom they resemble. Values, and how they overlap."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Embedding: TypeAlias = NDArray[np.float32]
"""A vector of shape (dimension,) and length 1."""

Edges: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a rectangle, in one unit or in ratios."""


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A rectangle in ratios of the picture; may reach beyond 0..1 where a face is cut."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def edges(self) -> "Edges":
        return self.left, self.top, self.left + self.width, self.top + self.height


@dataclass(frozen=True, slots=True)
class Landmark:
    type: str  # Rekognition's name, such as eyeLeft (the viewer's left)
    x: float  # ratio of the picture's width
    y: float  # ratio of the picture's height


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees, -180 to 180, in Rekognition's convention. Positive yaw: the face looks to
    the viewer's right; positive pitch: it looks up; positive roll: clockwise in the picture."""

    pitch: float
    roll: float
    yaw: float


@dataclass(frozen=True, slots=True)
class Quality:
    brightness: float  # 0 to 100
    sharpness: float  # 0 to 100


@dataclass(frozen=True, slots=True)
class Rated:
    """A yes or no, and how sure that is."""

    value: bool
    confidence: float  # 50 to 100


@dataclass(frozen=True, slots=True)
class Traits:
    """What attribute models see in a face. What no installed model measures is None."""

    smile: Rated | None = None
    eyes_open: Rated | None = None
    mouth_open: Rated | None = None
    eyeglasses: Rated | None = None
    emotions: tuple[tuple[str, float], ...] = ()  # Rekognition's type and 0 to 100, surest first


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face found in a picture. What no model measured is None."""

    box: BoundingBox
    confidence: float  # 0 to 100
    landmarks: tuple[Landmark, ...] = ()
    pose: Pose | None = None
    quality: Quality | None = None
    embedding: Embedding | None = field(default=None, repr=False)
    age: int | None = None  # years, as estimated by the pack
    gender: str | None = None  # "Male" or "Female"; which is Rekognition's pair of values
    traits: Traits | None = None  # None where nobody asked


@dataclass(frozen=True, slots=True)
class IndexedFace:
    """A face as a collection keeps it: no picture and no attributes."""

    face_id: str  # lower-case UUID
    image_id: str  # lower-case UUID, one per indexed picture
    external_image_id: str | None
    box: BoundingBox
    confidence: float
    model_version: str


MATCHES_MAX = 4096
"""Rekognition's ceiling for the matches of one search."""


@dataclass(frozen=True, slots=True)
class Match:
    face: IndexedFace
    similarity: float  # 0 to 100, calibrated per pack


def hull(boxes: Sequence[Edges]) -> Edges:
    """The smallest rectangle that holds all of them; at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def overlap(one: Edges, other: Edges) -> float:
    """Intersection over union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((right - left) * (bottom - top) for left, top, right, bottom in (one, other))
    return width * height / (areas - width * height)
