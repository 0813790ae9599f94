"""Faces, where they are in a picture and whom they resemble. Values only."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Embedding: TypeAlias = NDArray[np.float32]
"""A vector of shape (dimension,) and length 1."""


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


@dataclass(frozen=True, slots=True)
class Match:
    face: IndexedFace
    similarity: float  # 0 to 100, calibrated per pack
