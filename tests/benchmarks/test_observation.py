"""Cameras of a benchmark are the same ones at every run, and leave the daemon its cores."""

from pathlib import Path

import pytest

from benchmarks.observation import shots, split_cores
from benchmarks.scale import half_loading

CLIP = Path("clip.mp4")


def test_more_cameras_are_the_same_ones_and_others() -> None:
    assert shots(CLIP, 24.0, 8, seed=5)[:3] == shots(CLIP, 24.0, 3, seed=5)


def test_cameras_do_not_begin_together() -> None:
    found = shots(CLIP, 24.0, 24, seed=5)
    assert len({shot.phase_s for shot in found}) == len({shot.stream for shot in found}) == 24


def test_cameras_get_the_cores_that_the_daemon_leaves() -> None:
    assert split_cores(2, {0, 1, 2, 3}) == ({0, 1}, {2, 3})
    assert split_cores(2, {0, 1}) == ({0, 1}, {0, 1})


def test_cores_that_are_not_there_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="3 cores are asked for, and 2 may be used"):
        split_cores(3, {0, 1})


def test_half_a_machine_is_told_by_the_cost_nearest_to_it() -> None:
    points = [
        {"load": 0.05, "cores": 2, "cpu_s_per_camera_s": 0.11, "fell_behind": ""},
        {"load": 0.40, "cores": 2, "cpu_s_per_camera_s": 0.09, "fell_behind": ""},
        {"load": 0.50, "cores": 2, "cpu_s_per_camera_s": 0.04, "fell_behind": "1.0 of 5 frames/s"},
    ]
    assert half_loading(points) == 11
    assert half_loading(points[2:]) is None
