"""Faces as members of Rekognition's answers. Pure; what no model measured is left out."""

from collections.abc import Collection
from typing import Any

from streamproc.model.face import Face, IndexedFace, Match
from streamproc.model.members import face_members, stored_box_members

_LANDMARK_ORDER = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
_AGE = {"ALL", "AGE_RANGE"}  # the values of Attributes that ask for each
_GENDER = {"ALL", "GENDER"}
_AGE_BAND = 8
"""Years to each side of an estimated age. The gender-age network of the InsightFace packs has
a mean absolute error of 4.1 years (github.com/deepinx/age-gender-estimation); if errors are
normal, 88 % of people lie within 8 years of its estimate."""


def face_detail(face: Face, attributes: Collection[str] = ()) -> dict[str, Any]:
    """FaceDetail; attributes are Rekognition's names, of which an engine has two at most."""
    detail = compared_face(face)
    if face.age is not None and not _AGE.isdisjoint(attributes):
        detail["AgeRange"] = {
            "Low": max(face.age - _AGE_BAND, 0),
            "High": face.age + _AGE_BAND,
        }
    if face.gender is not None and not _GENDER.isdisjoint(attributes):
        detail["Gender"] = {"Value": face.gender}  # its certainty is not measured
    return detail


def asks_for_more(attributes: Collection[str]) -> bool:
    """Whether a FaceDetail of these attributes needs what engines tell only when asked."""
    return not (_AGE | _GENDER).isdisjoint(attributes)


def compared_face(face: Face) -> dict[str, Any]:
    """ComparedFace, which is also what DEFAULT means for a FaceDetail."""
    return face_members(face, _LANDMARK_ORDER)


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
