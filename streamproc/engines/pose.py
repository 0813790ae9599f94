"""Which way a face looks, from its landmarks alone.

Pure geometry: a mean face in millimetres is turned until its landmarks, seen from afar
(scaled orthographic view), fall on those that were found. Knows no model and no picture.

The turn is by pitch about the face's own ear-to-ear axis, then by yaw about the upright, then
by roll in the picture; so roll is exactly the slope of the eyes, whatever the other two are.
Yaw and pitch are estimates, as good as this person's face is average.
"""

import cmath
import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from streamproc.model.face import Pose

Point: TypeAlias = tuple[float, float]

# Millimetres in a mean face that looks at the viewer: x to the viewer's right, y down, z
# towards the viewer; origin between the eyes, which are 63 apart. Across and down these are
# the points that ArcFace aligns faces to (the mean of its training set); depths are those of
# the 68-point mean face that InsightFace ships (meanshape_68), rounded.
_FIVE = {
    "eyeLeft": (-31.5, 0.0, 0.0),
    "eyeRight": (31.5, 0.0, 0.0),
    "nose": (0.0, 36.0, 34.0),
    "mouthLeft": (-26.0, 73.0, 7.0),
    "mouthRight": (26.0, 73.0, 7.0),
}
_EYES_MM = 63.0

_centred = np.array(list(_FIVE.values())) - np.mean(list(_FIVE.values()), axis=0)
_FROM_POINTS: list[list[float]] = np.linalg.pinv(_centred).tolist()
"""(3, 5): five points, wherever their middle is, to the affine view of the face."""


def pose_from_five_points(marks: Mapping[str, Point]) -> Pose:
    """Degrees, from eyeLeft, eyeRight, nose, mouthLeft and mouthRight in pixels.

    The least-squares affine view of the mean face is fitted first. A turned face would be
    seen through the rows s (cos yaw, sin yaw sin pitch, sin yaw cos pitch) and
    s (0, cos pitch, -sin pitch), from which the two angles are read.
    """
    roll, upright = _level(marks[name] for name in _FIVE)
    width, height, depth = (
        sum(weight * point for weight, point in zip(weights, upright, strict=True))
        for weights in _FROM_POINTS
    )
    pitch = math.atan2(-depth.imag, height.imag)
    turned = height.real * math.sin(pitch) + depth.real * math.cos(pitch)
    return _degrees(pitch, roll, math.atan2(turned, width.real))


def pose_from_eyes_and_nose(marks: Mapping[str, Point], *, nose_mm: Point) -> Pose:
    """Degrees, from eyeLeft, eyeRight and nose in pixels; nose_mm says how far below the
    eyes and in front of them the nose point is in a mean face.

    Three points fix the view only if every face had the mean proportions: a nose that is a
    tenth longer reads about ten degrees lower. With a = pitch + atan(front / below), r the
    nose's distance from the eyes, and the nose seen at (d, v) from their middle, of which the
    face's width shows c = s cos yaw:  d = c r sin(a) tan(yaw)  and  v cos(yaw) = c r cos(a).
    Eliminating a leaves a quadratic in cos(yaw) squared.
    """
    below, front = nose_mm
    roll, (left, right, nose) = _level(marks[name] for name in ("eyeLeft", "eyeRight", "nose"))
    width = max((right - left).real, 1e-6)
    seen = (nose - (left + right) / 2) / width * _EYES_MM / math.hypot(below, front)
    across, down = seen.real, seen.imag
    middle = 1 + down**2 + across**2
    cos_squared = 2 / (middle + math.sqrt(max(middle**2 - 4 * down**2, 0.0)))
    yaw = math.copysign(math.acos(math.sqrt(min(cos_squared, 1.0))), across)
    lowered = math.acos(min(max(down * math.cos(yaw), -1.0), 1.0))
    return _degrees(lowered - math.atan2(front, below), roll, yaw)


def _level(points: Iterable[Point]) -> tuple[float, list[complex]]:
    """The slope of the eyes in radians, and the points, x + iy, with it taken out; eyes come
    first. In plain numbers: for five points numpy's arrays take ten times as long."""
    plane = [complex(x, y) for x, y in points]
    roll = cmath.phase(plane[1] - plane[0])
    back = cmath.rect(1.0, -roll)
    return roll, [point * back for point in plane]


def _degrees(pitch: float, roll: float, yaw: float) -> Pose:
    return Pose(*(math.degrees(angle) for angle in (pitch, roll, yaw)))
