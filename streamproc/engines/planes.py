"""A picture as networks take it: planes of floats, red first, normalised. Pure."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.scratch import Scratch
from streamproc.model.media import Image


def fill_planes(
    planes: NDArray[np.float32], image: Image, mean: float, std: float, scratch: Scratch
) -> None:
    """Write (value - mean) / std of a picture's red, green and blue into planes of shape
    (3, height, width), which may be parts of larger ones. Uses the scratch's block "channels"."""
    channels = list(scratch.block("channels", (3, *image.shape[:2]), np.uint8))
    cv2.split(image, channels)
    for plane, channel in zip(planes[::-1], channels, strict=True):
        # The one function of OpenCV that scales and shifts into floats in a single pass.
        cv2.addWeighted(channel, 1 / std, channel, 0, -mean / std, plane, cv2.CV_32F)
