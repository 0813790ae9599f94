"""Which faces pass which bar."""

import pytest

from streamproc.collection.quality import BARS, reasons_against, sift
from streamproc.model.face import BoundingBox, Face, Pose, Quality

GOOD = Face(BoundingBox(0.1, 0.1, 0.5, 0.5), 99.0, pose=Pose(0, 0, 0), quality=Quality(50.0, 60.0))


def changed(**members: object) -> Face:
    fields = {name: getattr(GOOD, name) for name in ("box", "confidence", "pose", "quality")}
    return Face(**{**fields, **members})


@pytest.mark.parametrize("bar", BARS)
def test_a_good_face_passes_every_bar(bar: str) -> None:
    assert reasons_against(GOOD, BARS[bar], 1000, 1000) == []


@pytest.mark.parametrize("bar", ["AUTO", "LOW", "MEDIUM", "HIGH"])
@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (changed(confidence=51.0), "LOW_CONFIDENCE"),
        (changed(box=BoundingBox(0, 0, 0.012, 0.5)), "SMALL_BOUNDING_BOX"),
        (changed(quality=Quality(50.0, 1.0)), "LOW_SHARPNESS"),
        (changed(quality=Quality(2.0, 60.0)), "LOW_BRIGHTNESS"),
        (changed(pose=Pose(0, 0, -85)), "EXTREME_POSE"),
        (changed(pose=Pose(85, 0, 0)), "EXTREME_POSE"),
    ],
)
def test_each_weakness_is_named_by_every_bar_but_none(bar: str, face: Face, reason: str) -> None:
    assert reasons_against(face, BARS[bar], 1000, 1000) == [reason]
    assert reasons_against(face, BARS["NONE"], 1000, 1000) == []


def test_higher_bars_reject_whatever_lower_bars_do() -> None:
    low, medium, high = (BARS[name] for name in ("LOW", "MEDIUM", "HIGH"))
    for lower, higher in ((low, medium), (medium, high)):
        assert higher.confidence_min >= lower.confidence_min
        assert higher.sharpness_min >= lower.sharpness_min
        assert higher.brightness_min >= lower.brightness_min
        assert higher.side_min >= lower.side_min
        assert higher.angle_max <= lower.angle_max


def test_what_an_engine_did_not_measure_is_not_held_against_a_face() -> None:
    assert reasons_against(changed(pose=None, quality=None), BARS["HIGH"], 1000, 1000) == []


def test_poor_faces_go_first_and_then_small_ones() -> None:
    large_but_dark = changed(box=BoundingBox(0, 0, 0.9, 0.9), quality=Quality(1.0, 60.0))
    small = changed(box=BoundingBox(0, 0, 0.2, 0.2))
    kept, rejected = sift([small, large_but_dark, GOOD], BARS["AUTO"], 1000, 1000, 1)
    assert kept == [GOOD]
    assert rejected == [(large_but_dark, ["LOW_BRIGHTNESS"]), (small, ["EXCEEDS_MAX_FACES"])]
