"""Rekognition: every operation, registered with the service that the gateway serves."""

from streamproc.api import (
    cameras,
    celebrities,
    collections,
    describe,
    events,
    faces,
    images,
    jobs,
    jobs_list,
    own_processors,
    stream_processors,
    tags,
)
from streamproc.api.service import ApiServices, rekognition

__all__ = [
    "ApiServices",
    "cameras",
    "celebrities",
    "collections",
    "describe",
    "events",
    "faces",
    "images",
    "jobs",
    "jobs_list",
    "own_processors",
    "rekognition",
    "stream_processors",
    "tags",
]
