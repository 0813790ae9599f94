"""Rekognition: every operation, registered with the service that the gateway serves."""

from streamproc.api import collections, faces, images, tags
from streamproc.api.service import ApiServices, rekognition

__all__ = ["ApiServices", "collections", "faces", "images", "rekognition", "tags"]
