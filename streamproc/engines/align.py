"""Faces cut out of a picture and put upright, as recognition networks want them.

Pure. Equal to InsightFace's norm_crop (a test compares them) without scikit-image, whose
estimate() is deprecated.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.model.media import Image

# Where ArcFace puts eyes, nose and mouth corners (viewer's left first) in 112 x 112 pixels:
# the mean of its training set, as in InsightFace's face_align.arcface_dst.
ARCFACE_POINTS = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)


def crop_face(image: Image, points: NDArray[np.floating], side: int) -> Image:
    """The face of these five points, of shape (side, side, 3); black where the picture ends.

    points has shape (5, 2), pixels, in the order of ARCFACE_POINTS. side is a multiple of 112
    or of 128, in which case there are 8 pixels of 128 more at either side.
    """
    if side % 112 == 0:
        target = ARCFACE_POINTS * (side / 112)
    else:
        target = (ARCFACE_POINTS + np.array([8.0, 0.0])) * (side / 128)
    matrix = similarity_transform(points.astype(np.float64), target)
    crop: Image = cv2.warpAffine(image, matrix, (side, side), borderValue=0.0)  # type: ignore[assignment]
    return crop


def similarity_transform(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The rotation, scale and shift, as a (2, 3) matrix, that take source nearest to target.

    Least squares over points of shape (n, 2). A similarity of the plane is multiplication by
    one complex number, so the solution of Umeyama (1991) is a single quotient.
    """
    before, after = ([complex(x, y) for x, y in points.tolist()] for points in (source, target))
    before_mean, after_mean = sum(before) / len(before), sum(after) / len(after)
    spread = sum(abs(point - before_mean) ** 2 for point in before)
    factor = 0j
    if spread:
        pairs = zip(before, after, strict=True)
        factor = sum((one - before_mean).conjugate() * (other - after_mean) for one, other in pairs)
        factor /= spread
    shift = after_mean - factor * before_mean
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )
