"""What PutMedia answers: acknowledgements and the ways it refuses media. Pure.

One flat JSON object per line. Producers read them with hand-written parsers, so a member
without a value is left out, never null, and a line stays far below their 1024 bytes.
Ids and names: the PutMedia reference and the producer SDK's own table.
"""

import json
from enum import IntEnum, StrEnum

from streamproc.errors import StreamprocError


class AckEvent(StrEnum):
    BUFFERING = "BUFFERING"  # the fragment has begun to arrive
    RECEIVED = "RECEIVED"  # it is whole
    PERSISTED = "PERSISTED"  # it is on disk
    IDLE = "IDLE"  # nothing arrives
    ERROR = "ERROR"


class Refusal(IntEnum):
    """ErrorId by ErrorCode."""

    MAX_FRAGMENT_SIZE_REACHED = 4001
    MAX_FRAGMENT_DURATION_REACHED = 4002
    MAX_CONNECTION_DURATION_REACHED = 4003
    FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS = 4004
    INVALID_MKV_DATA = 4006
    INVALID_PRODUCER_TIMESTAMP = 4007
    STREAM_NOT_ACTIVE = 4008
    TRACK_NUMBER_MISMATCH = 4010
    FRAMES_MISSING_FOR_TRACK = 4011
    MORE_THAN_ALLOWED_TRACKS_FOUND = 4012
    ARCHIVAL_ERROR = 5001


class Refused(StreamprocError):
    """The media breaks a rule; the session ends with an ERROR acknowledgement."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


def encode_ack(
    event: AckEvent,
    *,
    timecode: int | None = None,
    number: str | None = None,
    refusal: Refusal | None = None,
) -> bytes:
    """timecode is the Cluster's own, in units of the producer's timecode scale."""
    members: dict[str, str | int] = {"EventType": event.value}
    if timecode is not None:
        members["FragmentTimecode"] = timecode
    if number is not None:
        members["FragmentNumber"] = number
    if refusal is not None:
        members["ErrorId"] = refusal.value
        members["ErrorCode"] = refusal.name
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"
