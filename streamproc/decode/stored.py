"""A stored video: the frames of a file that are looked at, and what its container says of it.

Any container and codec that FFmpeg reads by itself will do. Pictures are as they are stored
but for their rotation: pixels that are not square stay so (a box is a ratio of the picture
either way). Knows nothing of where the file comes from or of what is looked for in it.
Synchronous; one thread at a time.
"""

import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import av

from streamproc.decode.picture_size import PIXELS_MAX
from streamproc.decode.pixels import Converter, lies_on_its_side, upright
from streamproc.decode.playback import Playback
from streamproc.decode.sampling import Sampler
from streamproc.model.video import VideoFrame, VideoMetadata

_RANGES = {1: "LIMITED", 2: "FULL"}  # FFmpeg's AVColorRange


class StoredVideo:
    """A file that was looked into: its first frame could be decoded. Holds nothing open.

    name is what messages call the file, such as s3://bucket/clip.mp4. Raises MediaError if it
    is not a video that can be read, if its pictures have more than pixels_max pixels as coded, or
    if nothing of it decodes; UnsupportedCodec, with the codec's name, if this FFmpeg has no
    decoder for it.

    A container may not say how long it plays (a live recording, a bare elementary stream), or
    say it of its first part only (joined fragments of a Kinesis video stream). Matroska, and
    whatever does not say, is therefore read through once, undecoded, to measure it.
    """

    def __init__(self, path: Path, name: str, *, pixels_max: int = PIXELS_MAX) -> None:
        self.corrupt_total = 0  # frames dropped because FFmpeg says they are damaged
        self.undecodable_total = 0  # packets that FFmpeg refused
        self._path = path
        self._name = name
        self._pixels_max = pixels_max
        self._reading: Generator[VideoFrame] | None = None
        self._reached_s = Fraction(0)
        with self._playback() as playback:
            self._duration_s = playback.said_s or Fraction(0)
            if playback.said_s is None or playback.may_be_longer:
                with self._playback() as again:
                    self._duration_s = max(self._duration_s, again.measured_s())
            _, first = next(playback.frames())
            self.metadata = _describe(playback, first, self._duration_s)

    @property
    def progress(self) -> float:
        """The part of the duration that frames() has reached, 0 to 1."""
        return min(1.0, float(self._reached_s / self._duration_s)) if self._duration_s else 0.0

    def frames(self, fps: float) -> Iterator[VideoFrame]:
        """The first frame of every 1/fps seconds, from the beginning, which ends the frames of
        an earlier call.

        A packet that does not decode is passed over, a frame that FFmpeg calls damaged is
        dropped; both are counted. Media time never steps back. A picture whose size changes on
        the way comes in its new size.

        Raises MediaError where pictures become too large, and at the end if there were no
        frames, or if they end well before the container says: the video was cut off, and half a
        result is none. A container that does not say when it ends cannot give that away.
        """
        self.close()
        self._reached_s = Fraction(0)
        self._reading = self._sampled(Sampler(fps))
        return self._reading

    def close(self) -> None:
        """Give back what frames() holds open. May be called twice."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _playback(self) -> Playback:
        return Playback(self._path, self._name, self._pixels_max)

    def _sampled(self, sampler: Sampler) -> Generator[VideoFrame]:
        converter = Converter()
        with self._playback() as playback:
            for shown_s, frame in playback.frames():
                self._reached_s = shown_s
                self.corrupt_total = playback.corrupt_total
                self.undecodable_total = playback.undecodable_total
                if sampler.wants(float(shown_s)):
                    yield VideoFrame(math.floor(shown_s * 1000), upright(frame, converter))
        self._reached_s = self._duration_s


def _describe(playback: Playback, frame: av.VideoFrame, duration_s: Fraction) -> VideoMetadata:
    width, height = frame.width, frame.height
    if lies_on_its_side(frame):
        width, height = height, width
    rate = playback.stream.average_rate or playback.stream.guessed_rate
    return VideoMetadata(
        codec=playback.codec,
        format=playback.container.format.long_name,
        duration_ms=math.floor(duration_s * 1000),
        frame_rate=float(rate or 0),
        frame_width=width,
        frame_height=height,
        color_range=_color_range(frame),
    )


def _color_range(frame: av.VideoFrame) -> str:
    """FULL or LIMITED. Most H.264 does not say: that counts as LIMITED, as Rekognition answers
    for it, but for yuvj, whose name says it. "" for RGB that does not say."""
    if frame.color_range in _RANGES:
        return _RANGES[frame.color_range]
    if frame.format.name.startswith("yuvj"):
        return "FULL"
    return "" if frame.format.is_rgb or frame.format.has_palette else "LIMITED"
