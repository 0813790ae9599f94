"""The acknowledgements that PutMedia answers with. Sans-I/O.

Source: "Response Elements" of PutMedia in the Kinesis Video Streams developer guide, and the
JSON that the service really writes, whose keys are shorter than that page's.
"""

import codecs
import json
from dataclasses import dataclass
from typing import Any

from streamproc.errors import StreamprocError

_BYTES_MAX = 64 * 1024  # Amazon's own producer gives up on an acknowledgement above 1 KiB

ERROR_NAMES = {
    4000: "STREAM_READ_ERROR",
    4001: "MAX_FRAGMENT_SIZE_REACHED",
    4002: "MAX_FRAGMENT_DURATION_REACHED",
    4003: "MAX_CONNECTION_DURATION_REACHED",
    4004: "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS",
    4005: "MORE_THAN_ONE_TRACK_FOUND",
    4006: "INVALID_MKV_DATA",
    4007: "INVALID_PRODUCER_TIMESTAMP",
    4008: "STREAM_NOT_ACTIVE",
    4009: "FRAGMENT_METADATA_LIMIT_REACHED",
    4010: "TRACK_NUMBER_MISMATCH",
    4011: "FRAMES_MISSING_FOR_TRACK",
    4012: "MORE_THAN_ALLOWED_TRACKS_FOUND",
    4500: "KMS_KEY_ACCESS_DENIED",
    4501: "KMS_KEY_DISABLED",
    4502: "KMS_KEY_VALIDATION_ERROR",
    4503: "KMS_KEY_UNAVAILABLE",
    4504: "KMS_KEY_INVALID_USAGE",
    4505: "KMS_KEY_INVALID_STATE",
    4506: "KMS_KEY_NOT_FOUND",
    5000: "INTERNAL_ERROR",
    5001: "ARCHIVAL_ERROR",
}


class PutMediaError(StreamprocError):
    """The service refused the stream, or a fragment of it."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code  # a name of the API, such as ResourceNotFoundException or INVALID_MKV_DATA


@dataclass(frozen=True, slots=True)
class Ack:
    event_type: str  # BUFFERING, RECEIVED, PERSISTED, IDLE or ERROR
    timecode: int | None = None  # of the Cluster, as the producer wrote it
    fragment_number: str = ""
    error_id: int | None = None
    error_code: str = ""  # the name that belongs to error_id


class AckParser:
    """Turns the response body into acknowledgements, however it is cut or glued together."""

    def __init__(self) -> None:
        self._text = ""
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._json = json.JSONDecoder()

    def feed(self, data: bytes) -> list[Ack]:
        """Raises PutMediaError if the answer is not made of JSON objects."""
        self._text = (self._text + self._utf8.decode(data)).lstrip()
        acks = []
        while self._text:
            if self._text[0] != "{":
                raise self._unreadable()
            try:
                value, end = self._json.raw_decode(self._text)
            except ValueError:
                if len(self._text) > _BYTES_MAX:
                    raise self._unreadable() from None
                break  # the rest is on its way
            self._text = self._text[end:].lstrip()
            acks.append(_ack(value))
        return acks

    def _unreadable(self) -> PutMediaError:
        return PutMediaError(
            f"PutMedia was answered with {self._text[:60]!r}, which is no acknowledgement",
            code="InvalidAcknowledgement",
        )


def _ack(value: dict[str, Any]) -> Ack:
    error_id = _number(value.get("ErrorId"))
    name = value.get("ErrorCode") or (ERROR_NAMES.get(error_id, "") if error_id else "")
    return Ack(
        event_type=str(value.get("EventType", "")),
        timecode=_number(value.get("FragmentTimecode")),
        fragment_number=str(value.get("FragmentNumber") or ""),
        error_id=error_id,
        error_code=str(name),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
