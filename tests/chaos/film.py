"""A film that never ends and whose every picture says which one it is.

Four painted squares, left to right, are the hexadecimal digits of the picture's number, and
each digit is an enrolled person: a record tells its picture's number by who was recognised
where. So decoding, search and record are checked along with delivery. FPS pictures a second,
a keyframe every FRAMES, one fragment from each to the next.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np

from streamproc.engines.fake import PERSONS, FakeEngine
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.writer import MkvWriter, aws_tags
from streamproc.model.media import FragmentStarted, Image, Packet, Track

FPS = 5
FRAMES = 5  # of a fragment, which is one second
FRAME_MS = 1000 // FPS
FRAGMENT_MS = FRAMES * FRAME_MS
PICTURES = 1 << 16  # four digits; then it begins again
_SIZE = (160, 120)
_SIDE, _TOP, _LEFT = 24, 48, (8, 48, 88, 128)  # pixels
_BATCH = 32  # fragments encoded at once


def picture(number: int) -> Image:
    image = np.full((_SIZE[1], _SIZE[0], 3), 128, np.uint8)
    for digit, left in enumerate(_LEFT):
        FakeEngine.paint(image, number >> 4 * (3 - digit) & 15, left, _TOP, _SIDE)
    return image


def portraits() -> Iterator[tuple[str, bytes]]:
    """The sixteen persons to enrol: ExternalImageId and PNG."""
    for person in range(PERSONS):
        image = np.full((120, 120, 3), 128, np.uint8)
        FakeEngine.paint(image, person, 30, 30, 60)
        yield f"{person:x}", cv2.imencode(".png", image)[1].tobytes()


def number_in(record: dict[str, Any]) -> int | None:
    """The number of the picture that a record is of; None if it does not tell one."""
    faces = sorted(
        record["FaceSearchResponse"], key=lambda face: face["DetectedFace"]["BoundingBox"]["Left"]
    )
    persons = [match["Face"]["ExternalImageId"] for face in faces for match in face["MatchedFaces"]]
    return int("".join(persons), 16) if len(faces) == len(persons) == len(_LEFT) else None


@dataclass(frozen=True, slots=True)
class Coded:
    """One coded picture."""

    offset_ms: int
    keyframe: bool
    payload: bytes


class Film:
    """Encoded as it is needed and kept: all cameras show the same one."""

    def __init__(self) -> None:
        self._fragments: dict[int, tuple[Coded, ...]] = {}
        self.track = self._encode(0)

    def fragment(self, index: int) -> tuple[Coded, ...]:
        """The pictures FRAMES * index and on."""
        index %= PICTURES // FRAMES
        if index not in self._fragments:
            self._encode(index // _BATCH)
        return self._fragments[index]

    def _encode(self, batch: int) -> Track:
        buffer = io.BytesIO()
        cluster_ms = FRAGMENT_MS - FRAME_MS // 2  # the next keyframe opens one
        options = {"cluster_time_limit": str(cluster_ms), "cluster_size_limit": "5000000"}
        with av.open(buffer, "w", format="matroska", options=options) as output:
            stream = output.add_stream("libx264", rate=FPS)
            stream.width, stream.height = _SIZE
            stream.pix_fmt = "yuv420p"
            stream.options = {"g": str(FRAMES), "keyint_min": str(FRAMES), "sc_threshold": "0",
                              "bf": "0", "preset": "ultrafast", "threads": "1"}  # fmt: skip
            for number in range(batch * _BATCH * FRAMES, (batch + 1) * _BATCH * FRAMES):
                image = picture(number % PICTURES)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            output.mux(stream.encode(None))
        track: Track | None = None
        groups: list[list[Coded]] = []
        for event in FragmentParser().feed(buffer.getvalue()):
            if isinstance(event, FragmentStarted):
                [track] = event.fragment.tracks
                groups.append([])
            elif isinstance(event, Packet):
                at_ms = round(event.offset_ns / 1e6)
                groups[-1].append(Coded(at_ms, event.keyframe, event.payload))
        assert track is not None
        assert all(len(group) == FRAMES and group[0].keyframe for group in groups)
        for index, group in enumerate(groups):
            self._fragments[batch * _BATCH + index] = tuple(group)
        return track


def document(track: Track, number: str, start_ms: int, coded: tuple[Coded, ...]) -> bytes:
    """One fragment as GetMedia sends it; start_ms is its producer and server time."""
    writer = MkvWriter()
    stamp = f"{start_ms / 1000:.3f}"
    return b"".join(
        [
            writer.header([track]),
            _tags(FRAGMENT_NUMBER=number, SERVER_TIMESTAMP=stamp, PRODUCER_TIMESTAMP=stamp),
            writer.cluster(start_ms),
            *(writer.block(1, each.offset_ms, each.keyframe, each.payload) for each in coded),
            _tags(MILLIS_BEHIND_NOW="0", CONTINUATION_TOKEN=number),
        ]
    )


def error_document(track: Track, error_id: int, error_code: str, number: str = "") -> bytes:
    """What GetMedia sends in place of a fragment that it cannot deliver."""
    told = {"FRAGMENT_NUMBER": number} if number else {}
    return MkvWriter().header([track]) + _tags(
        ERROR_ID=str(error_id), ERROR_CODE=error_code, **told
    )


def _tags(**pairs: str) -> bytes:
    return aws_tags([(f"AWS_KINESISVIDEO_{name}", value) for name, value in pairs.items()])
