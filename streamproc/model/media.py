"""What a video stream is made of: tracks, fragments, packets and frames.

Values only. Knows the shape of what flows; knows nothing of Matroska, codecs or networks.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""An array of shape (height, width, 3), BGR, 0 to 255."""


class TrackKind(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a Matroska document."""

    number: int
    kind: TrackKind
    codec_id: str  # Matroska's name, such as V_MPEG4/ISO/AVC
    codec_private: bytes = field(default=b"", repr=False)
    width: int = 0  # pixels, 0 if the track does not say
    height: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment of a Kinesis video stream: a whole Matroska document with one Cluster.

    Timestamps are seconds since the epoch with millisecond precision, None where the
    document carries no AWS_KINESISVIDEO tag of that name (a producer's own recording).
    """

    number: str  # decimal, up to 128 digits; order by int(number); "" without tags
    server_timestamp: float | None
    producer_timestamp: float | None
    timecode_ns: int  # the Cluster's timecode
    tracks: tuple[Track, ...]
    tags: tuple[tuple[str, str], ...] = ()  # the producer's own tags seen before the Cluster


@dataclass(frozen=True, slots=True)
class FragmentStarted:
    """A Cluster opened; everything known about its fragment is here."""

    fragment: Fragment


@dataclass(frozen=True, slots=True)
class Packet:
    """One block of one track, in decode order."""

    track: int
    offset_ns: int  # presentation time relative to the Cluster's timecode; may be negative
    keyframe: bool
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FragmentEnded:
    """The fragment opened last is over.

    complete is True when the service's closing tags were seen, or when the Cluster's stated
    size or what follows it shows that it is whole (mkv/fragments.py has the rules).
    """

    number: str
    complete: bool
    millis_behind_now: int | None = None
    continuation_token: str | None = None
    tags: tuple[tuple[str, str], ...] = ()  # the producer's own tags seen after the Cluster


@dataclass(frozen=True, slots=True)
class FragmentFailed:
    """An error document: the service could not deliver this fragment."""

    number: str  # "" where the service named none
    error_id: int | None
    error_code: str


MediaEvent: TypeAlias = FragmentStarted | Packet | FragmentEnded | FragmentFailed


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture that will be analysed."""

    fragment: Fragment
    offset_s: float  # from the fragment's start (its Cluster timecode)
    timestamp: float  # media time in seconds; producer time where the stream has one
    image: Image = field(repr=False)
