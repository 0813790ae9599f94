"""What others may see of a camera: its status, its figures and its troubles. Values.

Nothing here holds a password: url is masked before it gets here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self


class CameraStatus(StrEnum):
    """How a camera is."""

    CONNECTING = "CONNECTING"  # opened for the first time
    LIVE = "LIVE"  # its packets come
    RETRYING = "RETRYING"  # off, silent, or its stream is out of reach: tried again by itself
    REFUSED = "REFUSED"  # wrong password, codec: a person has to act; tried again now and then


@dataclass(frozen=True, slots=True)
class Camera:
    """What the configuration asks for, with every default in place."""

    name: str
    region: str
    url: str  # masked
    stream: str  # name of its video stream
    retention_hours: int = 0  # of its video stream, where that is made for it
    collection: str = ""  # "" asks for no processor
    data_stream: str = ""  # name of the processor's
    face_match_threshold: float = 90.0
    role_arn: str = ""


@dataclass(frozen=True, slots=True)
class FeedView:
    """A camera's way to its stream, as it stood when it was asked for. Totals count from the
    daemon's start."""

    status: CameraStatus = CameraStatus.CONNECTING
    message: str = ""  # what is wrong, in a person's words, or ""
    codec: str = ""  # as the camera sends it: h264, hevc, mjpeg; "" until it was open once
    width: int = 0  # pixels
    height: int = 0
    fps: float | None = None  # None where the camera does not say
    transcoding: bool = False
    bytes_per_second: float = 0.0
    bytes_total: int = 0  # of coded video that came, whether or not it was sent on
    fragments_total: int = 0  # acknowledged by the stream
    last_fragment_at: float | None = None  # seconds since the epoch
    reconnects_total: int = 0
    packets_dropped_total: int = 0  # while the stream was out of reach, or the encoder behind


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera with all that is to be told of it; as Camera and FeedView have it."""

    name: str
    region: str
    url: str
    stream: str
    processor: str  # "" where none was asked for
    status: CameraStatus
    message: str  # LIVE may have one too: about its processor
    codec: str
    width: int
    height: int
    fps: float | None
    transcoding: bool
    bytes_per_second: float
    bytes_total: int
    fragments_total: int
    last_fragment_at: float | None
    reconnects_total: int
    packets_dropped_total: int

    @classmethod
    def of(cls, camera: Camera, feed: FeedView, notes: Iterable[str] = ()) -> Self:
        """notes are about the camera's processor, or whatever else its feed does not know."""
        members = {field.name: getattr(feed, field.name) for field in fields(feed)}
        members["message"] = " ".join(text for text in (feed.message, *notes) if text)
        return cls(
            name=camera.name,
            region=camera.region,
            url=camera.url,
            stream=camera.stream,
            processor=camera.name if camera.collection else "",
            **members,
        )
