"""Which stream of an open container is the video, and what else there is. Knows PyAV only."""

import av
from av.stream import Disposition

Container = av.container.InputContainer


def video_stream(container: Container) -> av.VideoStream | None:
    """The best video, which a cover picture is none of; None if there is no video."""
    best = container.streams.best("video")
    if isinstance(best, av.VideoStream) and not best.disposition & Disposition.attached_pic:
        return best
    videos = container.streams.video
    return next((s for s in videos if not s.disposition & Disposition.attached_pic), None)


def codec_name(stream: av.VideoStream) -> str:
    """FFmpeg's name of the codec, such as h264."""
    codec = getattr(stream, "codec_context", None)  # None where FFmpeg does not know the codec
    return str(codec.codec.canonical_name) if codec is not None else "unknown"


def left_out(container: Container, stream: av.VideoStream) -> tuple[str, ...]:
    """The streams that are not read, such as "aac audio"."""
    return tuple(
        f"{other.codec_context.name} {other.type}"
        for other in container.streams
        if other is not stream and getattr(other, "codec_context", None) is not None
    )
