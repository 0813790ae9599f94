"""Faces as Rekognition's JSON members, which the records and the API's answers share. Pure."""

from collections.abc import Sequence
from typing import Any

from streamproc.model.face import BoundingBox, Face


def box_members(box: BoundingBox) -> dict[str, float]:
    return {"Height": box.height, "Width": box.width, "Left": box.left, "Top": box.top}


def stored_box_members(box: BoundingBox) -> dict[str, float]:
    """The box of an indexed face: Rekognition gives it with six significant digits."""
    return {key: float(f"{value:.6g}") for key, value in box_members(box).items()}


def face_members(face: Face, landmark_order: Sequence[str]) -> dict[str, Any]:
    """What was measured of a detected face; what was not is left out."""
    by_type = {mark.type: mark for mark in face.landmarks}
    members: dict[str, Any] = {
        "BoundingBox": box_members(face.box),
        "Confidence": face.confidence,
        "Landmarks": [
            {"X": mark.x, "Y": mark.y, "Type": mark.type}
            for mark in map(by_type.get, landmark_order)
            if mark is not None
        ],
    }
    if face.pose is not None:
        pose = face.pose
        members["Pose"] = {"Pitch": pose.pitch, "Roll": pose.roll, "Yaw": pose.yaw}
    if face.quality is not None:
        quality = face.quality
        members["Quality"] = {"Brightness": quality.brightness, "Sharpness": quality.sharpness}
    return members
