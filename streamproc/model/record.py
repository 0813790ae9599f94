"""The record: what a consumer of the data stream reads, one per analysed frame.

Pure. The shape, the key order and the number formats are those of Rekognition's
face-search records (developer guide, "Reference: Kinesis face recognition record").
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamproc.model.face import Face, Match
from streamproc.model.media import Frame
from streamproc.model.members import face_members, stored_box_members

_LANDMARK_ORDER = ("eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record on its way to the data stream."""

    data: bytes
    partition_key: str  # 1 to 256 characters


def build_record(
    stream_arn: str, frame: Frame, faces: Sequence[tuple[Face, Sequence[Match]]]
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
    }


def encode_record(record: dict[str, Any]) -> bytes:
    """Compact JSON on one line, UTF-8, no newline at the end."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


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
