"""A face that is turned by known angles is measured at those angles."""

import numpy as np
import pytest

from streamproc.engines.pose import pose_from_eyes_and_nose, pose_from_five_points
from streamproc.model.face import Pose

MILLIMETRES = {
    "eyeLeft": (-31.5, 0.0, 0.0),
    "eyeRight": (31.5, 0.0, 0.0),
    "nose": (0.0, 36.0, 34.0),
    "mouthLeft": (-26.0, 73.0, 7.0),
    "mouthRight": (26.0, 73.0, 7.0),
}


def seen(pose: Pose, scale: float = 1.7) -> dict[str, tuple[float, float]]:
    """Where the points of the mean face fall when it is turned: pitch, then yaw, then roll."""
    pitch, yaw, roll = np.deg2rad([pose.pitch, pose.yaw, pose.roll])
    marks = {}
    for name, (x, y, z) in MILLIMETRES.items():
        y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
        x = x * np.cos(yaw) + z * np.sin(yaw)
        marks[name] = (
            300 + scale * (x * np.cos(roll) - y * np.sin(roll)),
            200 + scale * (x * np.sin(roll) + y * np.cos(roll)),
        )
    return marks


POSES = [
    Pose(0, 0, 0),
    Pose(20, 0, 0),
    Pose(-25, 0, 0),
    Pose(0, 0, 40),
    Pose(0, 0, -60),
    Pose(0, 35, 0),
    Pose(10, -170, 5),
    Pose(-15, 30, 45),
]


@pytest.mark.parametrize("pose", POSES)
def test_five_points_give_the_angles(pose: Pose) -> None:
    measured = pose_from_five_points(seen(pose))
    assert (measured.pitch, measured.roll, measured.yaw) == pytest.approx(
        (pose.pitch, pose.roll, pose.yaw), abs=1e-6
    )


@pytest.mark.parametrize("pose", POSES)
def test_eyes_and_nose_give_them_for_a_face_of_mean_proportions(pose: Pose) -> None:
    measured = pose_from_eyes_and_nose(seen(pose), nose_mm=(36.0, 34.0))
    assert (measured.pitch, measured.roll, measured.yaw) == pytest.approx(
        (pose.pitch, pose.roll, pose.yaw), abs=1e-6
    )


def test_signs_are_rekognition_s() -> None:
    frontal = seen(Pose(0, 0, 0))
    x, y = frontal["nose"]
    to_the_right = pose_from_five_points({**frontal, "nose": (x + 15, y)})
    upwards = pose_from_five_points({**frontal, "nose": (x, y - 15)})
    assert to_the_right.yaw > 5
    assert upwards.pitch > 5


def test_roll_is_the_slope_of_the_eyes_whatever_the_nose_does() -> None:
    marks = seen(Pose(10, 25, 30))
    marks["nose"] = (marks["nose"][0] + 9, marks["nose"][1] - 5)
    assert pose_from_five_points(marks).roll == pytest.approx(25)
    assert pose_from_eyes_and_nose(marks, nose_mm=(36.0, 34.0)).roll == pytest.approx(25)


def test_the_size_of_the_face_does_not_matter() -> None:
    near, far = seen(Pose(5, 10, 20), scale=8.0), seen(Pose(5, 10, 20), scale=0.3)
    assert pose_from_five_points(near).yaw == pytest.approx(pose_from_five_points(far).yaw)


def test_points_that_coincide_give_finite_angles() -> None:
    marks = dict.fromkeys(MILLIMETRES, (5.0, 5.0))
    for pose in (pose_from_five_points(marks), pose_from_eyes_and_nose(marks, nose_mm=(36, 34))):
        assert np.isfinite([pose.pitch, pose.roll, pose.yaw]).all()
