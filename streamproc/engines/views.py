"""Parts of a picture as networks want to see them: turned level, cut out, scaled.

Pure geometry. Knows boxes and eyes; knows no network.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.model.face import Face
from streamproc.model.media import Image

Points = NDArray[np.float64]
"""Pixels, x then y; shape (n, 2)."""

_OVERSAMPLED_MAX = 4
"""Beyond this a larger picture is thinned out rather than averaged: time, not beauty."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A window into a picture."""

    matrix: NDArray[np.float64]  # (2, 3): pixels of the picture to those of the window
    width: int  # of the window, in pixels
    height: int

    def cut(self, image: Image) -> Image:
        """What is seen through it, of shape (height, width, 3); black where the picture ends.

        A window that shrinks the picture shows the mean of the pixels it unites, so that a face
        looks the same from a large picture and from a small one.
        """
        shrinks = 1 / np.sqrt(abs(np.linalg.det(self.matrix[:, :2])))
        times = int(np.clip(np.round(shrinks), 1, _OVERSAMPLED_MAX))
        matrix = self.matrix * times
        matrix[:, 2] += (times - 1) / 2  # pixels are counted at their centres
        size = (self.width * times, self.height * times)
        fine: Image = cv2.warpAffine(image, matrix, size)  # type: ignore[assignment]
        if times == 1:
            return fine
        return cv2.resize(  # type: ignore[return-value]
            fine, (self.width, self.height), interpolation=cv2.INTER_AREA
        )

    def in_picture(self, points: Points) -> Points:
        """Points of the window as points of the picture."""
        return (points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T


def level_square(image: Image, face: Face, *, of_box: float, side: int, below: float = 0.0) -> View:
    """A square window of this side in pixels in which the eyes are level. It shows of_box times
    the longer side of the face's box, around the box's middle or so many longer sides below."""
    height, width = image.shape[:2]
    box, longer = face.box, longer_side(image, face)
    middle = np.array(
        [(box.left + box.width / 2) * width, (box.top + box.height / 2) * height], float
    )
    turn = level(_eyes(image, face))
    scaled = turn * side / (of_box * longer)
    shown = middle + np.array([0.0, below * longer]) @ turn  # whose inverse is its transpose
    return View(np.column_stack([scaled, side / 2 - scaled @ shown]), side, side)


def longer_side(image: Image, face: Face) -> float:
    """Of the face's box, in pixels."""
    height, width = image.shape[:2]
    return float(max(face.box.width * width, face.box.height * height))


def level(eyes: Points) -> NDArray[np.float64]:
    """The rotation (2, 2) that puts the second of two points on a level with the first."""
    across, down = eyes[1] - eyes[0]
    length = np.hypot(across, down)
    cos, sin = (across / length, down / length) if length else (1.0, 0.0)
    return np.array([[cos, sin], [-sin, cos]])


def _eyes(image: Image, face: Face) -> Points:
    """Both, the viewer's left one first; on a level where the engine found none."""
    height, width = image.shape[:2]
    marks = {mark.type: (mark.x * width, mark.y * height) for mark in face.landmarks}
    found = [marks.get("eyeLeft"), marks.get("eyeRight")]
    return np.array([(0.0, 0.0), (1.0, 0.0)] if None in found else found)
