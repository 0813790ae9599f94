"""Which way a face looks, from its landmarks alone.

Pure geometry: a mean face in millimetres is turned until its landmarks, seen from afar
(scaled orthographic view), fall on those that were found. Knows no model and no picture.

The turn is by pitch about the face's own ear-to-ear axis, then by yaw about the upright, then
by roll in the picture; so roll is exactly the slope of the eyes, whatever the other two are.
Yaw and pitch are estimates, as good as this person's face is average.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamproc.model.face import Pose

Point: TypeAlias = tuple[float, float]
_Points: TypeAlias = NDArray[np.float64]

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
_FROM_POINTS = np.linalg.pinv(_centred)  # (3, 5): five points to the affine view of the face


def pose_from_five_points(marks: Mapping[str, Point]) -> Pose:
    """Degrees, from eyeLeft, eyeRight, nose, mouthLeft and mouthRight in pixels.

    The least-squares affine view of the mean face is fitted first. A turned face would be
    seen through the rows s (cos yaw, sin yaw sin pitch, sin yaw cos pitch) and
    s (0, cos pitch, -sin pitch), from which the two angles are read.
    """
    roll, upright = _level(np.array([marks[name] for name in _FIVE], float))
    (x_width, x_height, x_depth), (_, y_height, y_depth) = (_FROM_POINTS @ upright).T
    pitch = np.arctan2(-y_depth, y_height)
    turned = x_height * np.sin(pitch) + x_depth * np.cos(pitch)
    return _degrees(pitch, roll, np.arctan2(turned, x_width))


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
    roll, upright = _level(
        np.array([marks[name] for name in ("eyeLeft", "eyeRight", "nose")], float)
    )
    left, right, nose = upright
    width = max(float(right[0] - left[0]), 1e-6)
    across, down = (nose - (left + right) / 2) / width * _EYES_MM / np.hypot(below, front)
    middle = 1 + down**2 + across**2
    cos_squared = 2 / (middle + np.sqrt(middle**2 - 4 * down**2))
    yaw = np.copysign(np.arccos(np.sqrt(min(cos_squared, 1.0))), across)
    lowered = np.arccos(np.clip(down * np.cos(yaw), -1.0, 1.0))
    return _degrees(lowered - np.arctan2(front, below), roll, yaw)


def _level(points: _Points) -> tuple[float, _Points]:
    """The slope of the eyes in radians, and the points with it taken out; eyes come first."""
    across, down = points[1] - points[0]
    roll = np.arctan2(down, across)
    cos, sin = np.cos(roll), np.sin(roll)
    return float(roll), (points - points.mean(axis=0)) @ np.array([[cos, -sin], [sin, cos]])


def _degrees(pitch: float, roll: float, yaw: float) -> Pose:
    return Pose(*(float(np.rad2deg(angle)) for angle in (pitch, roll, yaw)))
