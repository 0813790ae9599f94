"""A stored video: what its container says of it, and the frames that are looked at. Values."""

from dataclasses import dataclass, field

from streamproc.model.media import Image


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Where an object lies: in a bucket of S3, or in the folder that stands for one."""

    bucket: str
    name: str  # the key
    version: str = ""  # "" is the latest

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.name}{'@' + self.version if self.version else ''}"


@dataclass(frozen=True, slots=True)
class VideoMetadata:
    """As ffprobe names it; sizes are those of the upright picture."""

    codec: str  # h264
    format: str  # QuickTime / MOV
    duration_ms: int
    frame_rate: float  # frames per second, the mean where it varies
    frame_width: int  # pixels
    frame_height: int
    color_range: str = ""  # FULL or LIMITED, "" where the stream does not say


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One decoded frame, upright."""

    timestamp_ms: int  # from the start of the video, rounded down
    image: Image = field(repr=False)
