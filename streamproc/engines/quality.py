"""Brightness and sharpness of a face, measured on its pixels.

Pure. Knows pixels, not faces: what is in the box is what is measured.
"""

import cv2

from streamproc.model.face import BoundingBox, Quality
from streamproc.model.media import Image

_SIDE = 96
"""Every face is measured at this size, so that the figures do not depend on its own size."""

_SHARP_HALF = 120.0
"""Variance of the Laplacian, at _SIDE, that reads 50: an ordinary, slightly soft photograph."""


def measure_quality(image: Image, box: BoundingBox) -> Quality | None:
    """The quality of the face in this box; None if no pixel of the box is in the picture.

    Brightness is the mean luma (BT.601) in percent of white. Sharpness is v / (v + 120) in
    percent, v being the variance of the luma's Laplacian after the crop was scaled to 96
    pixels across: 0 is a plain surface, 50 an ordinary photograph. A face smaller than that
    is enlarged and therefore reads less sharp, which is what a viewer sees too.
    """
    crop = _crop(image, box)
    if crop.size == 0:
        return None
    luma = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    brightness = cv2.mean(luma)[0] / 255.0 * 100.0
    smaller = min(luma.shape) >= _SIDE
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    scaled = cv2.resize(luma, (_SIDE, _SIDE), interpolation=interpolation)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(scaled, cv2.CV_32F))
    variance = float(deviation[0, 0]) ** 2
    return Quality(brightness, 100.0 * variance / (variance + _SHARP_HALF))


def _crop(image: Image, box: BoundingBox) -> Image:
    height, width = image.shape[:2]
    left, right = (_pixel(edge, width) for edge in (box.left, box.left + box.width))
    top, bottom = (_pixel(edge, height) for edge in (box.top, box.top + box.height))
    return image[top:bottom, left:right]


def _pixel(edge: float, side: int) -> int:
    return min(max(round(edge * side), 0), side)
