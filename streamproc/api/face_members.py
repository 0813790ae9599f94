"""Faces of pictures as members of Rekognition's answers. Pure."""

from typing import Any

from streamproc.model.face import Face
from streamproc.model.members import face_detail


def compared_face(face: Face) -> dict[str, Any]:
    """ComparedFace, which has what a FaceDetail has by default."""
    return face_detail(face)
