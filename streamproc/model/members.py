"""Faces and celebrities as Rekognition's JSON members, which records, the API's answers and the
results of jobs share. Pure; what no model measured is left out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from streamproc.model.face import BoundingBox, Face, IndexedFace, Match, Traits
from streamproc.model.person import Celebrity

FIVE_LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""What the default attributes have, in the order of the documented answers."""

ALL_LANDMARKS = (
    *FIVE_LANDMARKS,
    *("leftEyeBrowLeft", "leftEyeBrowRight", "leftEyeBrowUp"),
    *("rightEyeBrowLeft", "rightEyeBrowRight", "rightEyeBrowUp"),
    *("leftEyeLeft", "leftEyeRight", "leftEyeUp", "leftEyeDown"),
    *("rightEyeLeft", "rightEyeRight", "rightEyeUp", "rightEyeDown"),
    *("noseLeft", "noseRight", "mouthUp", "mouthDown", "leftPupil", "rightPupil"),
    *("upperJawlineLeft", "midJawlineLeft", "chinBottom", "midJawlineRight", "upperJawlineRight"),
)
"""Rekognition's LandmarkType, in the order of its model."""

_AGE_BAND = 8
"""Years to each side of an estimated age. The gender-age network of the InsightFace packs has
a mean absolute error of 4.1 years (github.com/deepinx/age-gender-estimation); if errors are
normal, 88 % of people lie within 8 years of its estimate."""

_MEASURED = frozenset(
    {"ALL", "AGE_RANGE", "GENDER", "SMILE", "EYEGLASSES", "EYES_OPEN", "MOUTH_OPEN", "EMOTIONS"}
)


def box_members(box: BoundingBox) -> dict[str, float]:
    return {"Height": box.height, "Width": box.width, "Left": box.left, "Top": box.top}


def stored_box_members(box: BoundingBox) -> dict[str, float]:
    """The box of an indexed face: Rekognition gives it with six significant digits."""
    return {key: float(f"{value:.6g}") for key, value in box_members(box).items()}


def face_members(face: Face, landmark_order: Sequence[str]) -> dict[str, Any]:
    """What a face has by default; of its landmarks those that are named, in that order."""
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


def face_detail(face: Face, attributes: Collection[str] = ()) -> dict[str, Any]:
    """FaceDetail: what every face has, and of the rest what these values of Rekognition's
    Attribute select. Landmarks beyond the five come with ALL."""
    everything = "ALL" in attributes
    detail = face_members(face, ALL_LANDMARKS if everything else FIVE_LANDMARKS)
    for selector, members in _measured(face):
        if everything or selector in attributes:
            detail |= members
    return detail


def asks_for_more(attributes: Collection[str]) -> bool:
    """Whether a FaceDetail of these attributes needs what engines tell only when asked. Of
    some of Rekognition's attributes (BEARD, for one) nothing is ever measured."""
    return not _MEASURED.isdisjoint(attributes)


def indexed_face(face: IndexedFace) -> dict[str, Any]:
    """Face: what a collection knows of it."""
    return {
        "FaceId": face.face_id,
        "BoundingBox": stored_box_members(face.box),
        "ImageId": face.image_id,
        "ExternalImageId": face.external_image_id,
        "Confidence": face.confidence,
        "IndexFacesModelVersion": face.model_version,
    }


def face_match(match: Match) -> dict[str, Any]:
    return {"Similarity": match.similarity, "Face": indexed_face(match.face)}


def _measured(face: Face) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was measured beyond the default: the value of Attribute that selects it, and it."""
    if face.age is not None:
        low, high = max(face.age - _AGE_BAND, 0), face.age + _AGE_BAND
        yield "AGE_RANGE", {"AgeRange": {"Low": low, "High": high}}
    if face.gender is not None:
        yield "GENDER", {"Gender": {"Value": face.gender}}  # its certainty is not measured
    if face.traits is not None:
        yield from _seen_in(face.traits)


def _seen_in(traits: Traits) -> Iterator[tuple[str, dict[str, Any]]]:
    for selector, member, rated in (
        ("SMILE", "Smile", traits.smile),
        ("EYEGLASSES", "Eyeglasses", traits.eyeglasses),
        ("EYES_OPEN", "EyesOpen", traits.eyes_open),
        ("MOUTH_OPEN", "MouthOpen", traits.mouth_open),
    ):
        if rated is not None:
            yield selector, {member: {"Value": rated.value, "Confidence": rated.confidence}}
    if traits.emotions:
        emotions = [{"Type": kind, "Confidence": sure} for kind, sure in traits.emotions]
        yield "EMOTIONS", {"Emotions": emotions}


def celebrity_members(celebrity: Celebrity) -> dict[str, Any]:
    """What is known of a celebrity, but for the Id: not every answer has that."""
    members: dict[str, Any] = {"Name": celebrity.name, "Urls": list(celebrity.urls)}
    return members | ({"KnownGender": {"Type": celebrity.gender}} if celebrity.gender else {})


def celebrity_of(members: Mapping[str, Any]) -> Celebrity:
    """The reverse, of members that have the Id too."""
    return Celebrity(
        id=members["Id"],
        name=members["Name"],
        urls=tuple(members.get("Urls", ())),
        gender=members.get("KnownGender", {}).get("Type", ""),
    )
