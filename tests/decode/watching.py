"""A stored video from its opening to its end, as tests look at it."""

from pathlib import Path

import pytest

from streamproc.decode.stored import StoredVideo
from streamproc.errors import MediaError
from streamproc.model.video import VideoFrame

NAME = "s3://clips/clip"
EVERY_FRAME = 25.0  # what movies have a second


def opened(path: Path) -> StoredVideo:
    return StoredVideo(path, NAME)


def watched(path: Path, fps: float = EVERY_FRAME) -> list[VideoFrame]:
    return list(opened(path).frames(fps))


def times_ms(path: Path, fps: float = EVERY_FRAME) -> list[int]:
    return [frame.timestamp_ms for frame in watched(path, fps)]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refused(path: Path) -> str:
    """What is told of a file of which no frame can be had, neither at once nor later."""
    with pytest.raises(MediaError) as told:
        watched(path)
    assert NAME in str(told.value)
    assert str(path) not in str(told.value)
    return str(told.value)
