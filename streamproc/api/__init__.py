"""Rekognition: every operation, registered with the service that the gateway serves."""

from streamproc.api import collections, faces, images, stream_processors, tags
from streamproc.api.service import ApiServices, rekognition

__all__ = [
    "ApiServices",
    "collections",
    "faces",
    "images",
    "rekognition",
    "stream_processors",
    "tags",
]
