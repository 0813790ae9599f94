"""The record: what a consumer of the data stream reads, one per analysed frame.

Pure. The shape, the key order and the number formats are those of Rekognition's
face-search records (developer guide, "Reference: Kinesis face recognition record"). One member
is ours, RecordId: delivery is at least once, and by it a consumer knows what it has already.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import to_json

from streamproc.model.face import Face, Match
from streamproc.model.media import Fragment, Frame
from streamproc.model.members import face_members, stored_box_members

_LANDMARK_ORDER = ("eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record on its way to the data stream."""

    data: bytes
    partition_key: str  # 1 to 256 characters


def record_id(processor_arn: str, frame: Frame) -> str:
    """What one record of one frame is called, however often the frame is analysed: 32 lower-case
    hexadecimal digits, the first half of

        SHA-256(processor ARN + "\\n" + fragment + "\\n" + offset)

    in UTF-8. fragment is its number; where it has none, its producer timestamp, or else its
    Cluster's timecode, in milliseconds with an "m" in front. offset is the frame's, in whole
    milliseconds.
    """
    name = "\n".join((processor_arn, _fragment_name(frame.fragment), str(_ms(frame.offset_s))))
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def build_record(
    stream_arn: str,
    processor_arn: str,
    frame: Frame,
    faces: Sequence[tuple[Face, Sequence[Match]]],
) -> dict[str, Any]:
    """The record of one analysed frame; faces come with their matches, best first."""
    fragment = frame.fragment
    return {
        "InputInformation": {
            "KinesisVideo": {
                "StreamArn": stream_arn,
                "FragmentNumber": fragment.number,
                "ServerTimestamp": fragment.server_timestamp,
                "ProducerTimestamp": fragment.producer_timestamp,
                # A 32-bit float widened, as the service prints it: 4.269 reads 4.269000053405762.
                "FrameOffsetInSeconds": float(np.float32(round(frame.offset_s, 3))),
            }
        },
        "StreamProcessorInformation": {"Status": "RUNNING"},
        "FaceSearchResponse": [
            {
                "DetectedFace": face_members(face, _LANDMARK_ORDER),
                "MatchedFaces": [_matched(match) for match in matches],
            }
            for face, matches in faces
        ],
        "RecordId": record_id(processor_arn, frame),
    }


def encode_record(record: dict[str, Any]) -> bytes:
    """Compact JSON on one line, UTF-8, no newline at the end. Raises ValueError for a number
    that JSON has no word for."""
    data = to_json(record, inf_nan_mode="constants")  # json of the standard library takes 4 times
    if b"NaN" in data or b"Infinity" in data:  # it may be a name
        json.dumps(record, allow_nan=False)
    return data


def _fragment_name(fragment: Fragment) -> str:
    if fragment.number:
        return fragment.number
    if fragment.producer_timestamp is not None:
        return f"m{_ms(fragment.producer_timestamp)}"
    return f"m{round(fragment.timecode_ns / 1e6)}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _matched(match: Match) -> dict[str, Any]:
    indexed = match.face
    face: dict[str, Any] = {
        "BoundingBox": stored_box_members(indexed.box),
        "FaceId": indexed.face_id,
        "Confidence": indexed.confidence,
        "ImageId": indexed.image_id,
    }
    if indexed.external_image_id is not None:
        face["ExternalImageId"] = indexed.external_image_id
    return {"Similarity": match.similarity, "Face": face}
