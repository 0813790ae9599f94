"""Which faces are good enough to be indexed or searched, and why the others are not.

Pure. The bars are one table; what an engine did not measure is not held against a face.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.model.face import Face


@dataclass(frozen=True, slots=True)
class QualityBar:
    """A face below any of these is rejected; the fields are what Reasons speak of."""

    confidence_min: float  # 0 to 100
    sharpness_min: float  # 0 to 100
    brightness_min: float  # 0 to 100
    side_min: float  # pixels, the shorter side of the box
    angle_max: float  # degrees of yaw or pitch


_NO_BAR = QualityBar(0.0, 0.0, 0.0, 0.0, 180.0)

_LOW = QualityBar(
    confidence_min=60.0, sharpness_min=10.0, brightness_min=10.0, side_min=20.0, angle_max=65.0
)
BARS: dict[str, QualityBar] = {
    "NONE": _NO_BAR,
    "AUTO": _LOW,
    "LOW": _LOW,
    "MEDIUM": QualityBar(
        confidence_min=70.0, sharpness_min=25.0, brightness_min=20.0, side_min=40.0, angle_max=50.0
    ),
    "HIGH": QualityBar(
        confidence_min=80.0, sharpness_min=40.0, brightness_min=30.0, side_min=80.0, angle_max=35.0
    ),
}
"""Rekognition's QualityFilter values; the figures are ours, for it publishes none. AUTO is
LOW: it stops what would only make false matches (specks, blurs, profiles, what is hardly a
face). Of 180 LFW pictures measured with SCRFD-500M (confidence 73 to 92, sharpness 28 to 81,
brightness 27 to 69, side 70 to 143, angles up to 50) AUTO and MEDIUM pass
all, HIGH passes 86 %."""


def reasons_against(face: Face, bar: QualityBar, width: int, height: int) -> list[str]:
    """Rekognition's Reasons for rejecting a face of a picture of this size; empty if none."""
    reasons = []
    if face.confidence < bar.confidence_min:
        reasons.append("LOW_CONFIDENCE")
    if min(face.box.width * width, face.box.height * height) < bar.side_min:
        reasons.append("SMALL_BOUNDING_BOX")
    if face.quality is not None and face.quality.sharpness < bar.sharpness_min:
        reasons.append("LOW_SHARPNESS")
    if face.quality is not None and face.quality.brightness < bar.brightness_min:
        reasons.append("LOW_BRIGHTNESS")
    if face.pose is not None and max(abs(face.pose.yaw), abs(face.pose.pitch)) > bar.angle_max:
        reasons.append("EXTREME_POSE")
    return reasons


def sift(
    faces: Sequence[Face], bar: QualityBar, width: int, height: int, faces_max: int
) -> tuple[list[Face], list[tuple[Face, list[str]]]]:
    """Split the faces of a picture of width x height pixels into those to keep, largest
    first, and the others with their reasons. What is poor goes first, then what is small."""
    kept: list[Face] = []
    rejected: list[tuple[Face, list[str]]] = []
    for face in sorted(faces, key=lambda face: face.box.area, reverse=True):
        reasons = reasons_against(face, bar, width, height)
        if not reasons and len(kept) == faces_max:
            reasons = ["EXCEEDS_MAX_FACES"]
        if reasons:
            rejected.append((face, reasons))
        else:
            kept.append(face)
    return kept, rejected
