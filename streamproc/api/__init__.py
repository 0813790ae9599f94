"""Rekognition: every operation, registered with the service that the gateway serves."""

from streamproc.api import (
    celebrities,
    collections,
    faces,
    images,
    jobs,
    jobs_list,
    stream_processors,
    tags,
)
from streamproc.api.service import ApiServices, rekognition

__all__ = [
    "ApiServices",
    "celebrities",
    "collections",
    "faces",
    "images",
    "jobs",
    "jobs_list",
    "rekognition",
    "stream_processors",
    "tags",
]
