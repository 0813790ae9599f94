"""A picture goes into a network as OpenCV's own blobs put it there."""

import cv2
import numpy as np
import pytest

from streamproc.engines.planes import fill_planes
from streamproc.engines.scratch import Scratch


@pytest.mark.parametrize(("mean", "std"), [(127.5, 128.0), (0.0, 1.0), (127.5, 127.5)])
def test_planes_are_those_of_opencv_s_blob(mean: float, std: float) -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 70, 3), np.uint8)
    expected = cv2.dnn.blobFromImage(image, 1 / std, (70, 90), (mean,) * 3, swapRB=True)[0]
    planes = np.empty((3, 90, 70), np.float32)
    fill_planes(planes, image, mean, std, Scratch())
    assert planes == pytest.approx(expected, abs=1e-4)


def test_a_part_of_larger_planes_is_filled_and_nothing_beside_it() -> None:
    image = np.full((20, 30, 3), (10, 20, 30), np.uint8)
    planes = np.full((3, 32, 64), -7, np.float32)
    fill_planes(planes[:, :20, :30], image[:, ::-1], 0.0, 1.0, Scratch())
    assert [plane[:20, :30].mean() for plane in planes] == [30, 20, 10]
    assert (planes[:, 20:] == -7).all()
    assert (planes[:, :, 30:] == -7).all()
