"""Brightness and sharpness follow what a viewer sees."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from streamproc.engines.quality import measure_quality
from streamproc.model.face import BoundingBox, Quality
from streamproc.model.media import Image

FACE = BoundingBox(0.34, 0.13, 0.20, 0.27)  # of the astronaut


def quality(image: Image, box: BoundingBox = FACE) -> Quality:
    measured = measure_quality(image, box)
    assert measured is not None
    return measured


def test_darker_is_less_bright(astronaut: Image) -> None:
    shades = [quality((astronaut * gain).astype(np.uint8)) for gain in (1.0, 0.8, 0.5, 0.2, 0.0)]
    assert all(lighter.brightness > darker.brightness for lighter, darker in pairwise(shades))
    assert shades[-1].brightness == 0


def test_blurred_is_less_sharp(astronaut: Image) -> None:
    blurs = [quality(cv2.GaussianBlur(astronaut, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4, 8)]  # type: ignore[arg-type]
    assert all(clearer.sharpness > softer.sharpness for clearer, softer in pairwise(blurs))
    assert blurs[-1].sharpness < 5


def test_a_white_wall_is_bright_and_without_detail() -> None:
    assert quality(np.full((200, 200, 3), 255, np.uint8)) == Quality(100.0, 0.0)


def test_the_same_face_from_a_larger_picture_is_about_as_sharp(astronaut: Image) -> None:
    larger: Image = cv2.resize(astronaut, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    assert quality(larger).sharpness == pytest.approx(quality(astronaut).sharpness, abs=10)


def test_a_face_at_the_edge_is_measured_where_it_is_seen() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, :50] = 200
    assert quality(image, BoundingBox(-0.5, 0, 1.0, 1.0)).brightness == pytest.approx(200 / 2.55)


def test_a_face_wholly_outside_has_no_quality() -> None:
    assert measure_quality(np.zeros((100, 100, 3), np.uint8), BoundingBox(1.2, 0, 0.2, 0.2)) is None


def test_both_stay_within_0_and_100() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    measured = quality(noise)
    assert 0 <= measured.brightness <= 100
    assert 95 < measured.sharpness <= 100
