"""Faces are cut out exactly as InsightFace cuts them."""

import numpy as np
import pytest
from insightface.utils import face_align

from streamproc.engines.align import ARCFACE_POINTS, crop_face, similarity_transform
from streamproc.model.media import Image


@pytest.mark.parametrize("side", [112, 128, 224])
def test_crops_equal_insightface_s(six_people: Image, side: int) -> None:
    chance = np.random.default_rng(7)
    for _ in range(20):
        points = ARCFACE_POINTS * chance.uniform(0.4, 4) + chance.normal(0, 8, (5, 2))
        points = (points + chance.uniform(0, 600, 2)).astype(np.float32)
        theirs = face_align.norm_crop(six_people, points, side)
        ours = crop_face(six_people, points, side)
        assert np.abs(ours.astype(int) - theirs).max() <= 1  # a rounding of one grey level


def test_the_transform_undoes_a_turn_a_scale_and_a_shift() -> None:
    angle, scale = np.deg2rad(30), 2.5
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    moved = ARCFACE_POINTS @ turn.T + (100, -20)
    matrix = similarity_transform(moved, ARCFACE_POINTS)
    assert moved @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(ARCFACE_POINTS)


def test_points_that_coincide_give_a_picture_and_no_crash(six_people: Image) -> None:
    assert crop_face(six_people, np.full((5, 2), 50, np.float32), 112).shape == (112, 112, 3)
