"""Frames of a stored video with what a job found drawn on them.

Knows pictures and where the video is read from; what the marks say is job_findings.py's. Reads
the video as the jobs do, so that a timestamp means the same frame.
"""

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2

from streamproc.cli.drawing import GREEN, ORANGE, Boxed, annotate
from streamproc.cli.job_findings import Mark, clock
from streamproc.decode.pixels import Converter, upright
from streamproc.decode.playback import Playback
from streamproc.errors import ConfigError, ObjectUnavailable, StreamprocError, TransientFailure
from streamproc.model.media import Image
from streamproc.model.video import ObjectRef

_HEIGHT_PER_SCALE = 1200  # pixels; where the words of a picture are drawn at their plain size
_SCALES = (0.45, 2.0)


def spread(timestamps: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly, the first and the last among them."""
    if len(timestamps) <= most:
        return list(timestamps)
    if most == 1:
        return [timestamps[0]]
    step = (len(timestamps) - 1) / (most - 1)
    return [timestamps[round(number * step)] for number in range(most)]


def write_frames(
    video: Path,
    name: str,
    marks: Mapping[int, Sequence[Mark]],
    folder: Path,
    progress: Callable[[int], None],
) -> int:
    """Write a JPEG for every timestamp (milliseconds) that has marks; returns how many.

    name is what messages call the video. progress is told how many are written. Raises
    MediaError if it cannot be read, StreamprocError if it has no frame at any of these times,
    or if the folder cannot be written.
    """
    written = 0
    open_ms = set(marks)
    converter = Converter()
    with Playback(video, name) as playback:
        for shown_s, frame in playback.frames():
            timestamp_ms = math.floor(shown_s * 1000)
            if timestamp_ms not in open_ms:
                continue
            open_ms.remove(timestamp_ms)
            picture = upright(frame, converter)
            draw_marks(picture, timestamp_ms, marks[timestamp_ms])
            _write(folder, timestamp_ms, picture)
            progress(written := written + 1)
            if not open_ms:
                break
    if marks and not written:
        raise StreamprocError(
            f"{name} has no frame at {clock(min(marks))}, nor at any other time of the results; "
            "is it the video of this job? Give that with --video"
        )
    return written


def draw_marks(picture: Image, timestamp_ms: int, marks: Sequence[Mark]) -> None:
    """Boxes where they are; words without a box in the top left corner; the time below."""
    scale = min(max(picture.shape[0] / _HEIGHT_PER_SCALE, _SCALES[0]), _SCALES[1])
    boxes = [
        Boxed(mark.box, mark.text, GREEN if mark.known else ORANGE)
        for mark in marks
        if mark.box is not None
    ]
    notes = [mark.text for mark in marks if mark.box is None]
    annotate(picture, boxes, notes, clock(timestamp_ms), scale)


def _write(folder: Path, timestamp_ms: int, picture: Image) -> None:
    file = folder / f"{timestamp_ms:010d}ms.jpg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _, data = cv2.imencode(".jpg", picture)
        file.write_bytes(data.tobytes())
    except OSError as error:
        raise StreamprocError(
            f"{file} cannot be written ({error.strerror}); choose another folder with --out"
        ) from None


@asynccontextmanager
async def video_of(
    video: Mapping[str, Any], region: str, config: Path | None, scratch: Path
) -> AsyncIterator[Path]:
    """The video of a job, as a file, from where the configuration says that objects lie.

    Raises StreamprocError, with the other way to give it, if it cannot be had there.
    """
    from streamproc.aws import AwsClients
    from streamproc.config import load_config
    from streamproc.objects.store import ObjectStore

    settings = load_config(config)
    place = video["S3Object"]
    ref = ObjectRef(place["Bucket"], place["Name"], place.get("Version", ""))
    clients = AwsClients(settings.endpoints, settings.aws, embedded_url="")
    store = ObjectStore(settings.buckets.root, clients)
    try:
        async with store.fetch(ref, region, scratch, lambda _: None) as path:
            yield path
    except (ObjectUnavailable, TransientFailure, ConfigError) as error:
        raise StreamprocError(
            f"{error}; give the daemon's configuration with --config, or the file with --video"
        ) from None
