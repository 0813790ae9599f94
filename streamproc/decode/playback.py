"""One pass through a stored video: every whole frame in order, and when it is shown.

Knows packets, what is lost of them and how long the file said it would be; knows nothing of
sampling, or of what frames are for. Synchronous; one thread at a time.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self, TypeAlias

import av

from streamproc.decode.container import (
    COUNTED,
    begin_s,
    goes_on,
    open_container,
    said_duration_s,
    said_end_s,
    video_stream,
)
from streamproc.decode.picture_size import (
    CODECS,
    PIXELS_MAX,
    announced,
    check_context,
    check_size,
)
from streamproc.decode.timeline import Timeline
from streamproc.errors import MediaError
from streamproc.mkv import nal

_Packet: TypeAlias = "av.Packet[av.stream.Stream]"
_FRAME_S = Fraction(1, 25)  # where a file tells neither durations nor a rate
_MISSING_S = Fraction(1)
_MISSING_RATIO = Fraction(5, 100)  # headers round, and guess how long the last frame is shown


class Playback:
    """An open file. Leave its block, or close it, to give it back.

    Raises MediaError if the file is not a video that can be read, or if its pictures have more
    than pixels_max pixels, UnsupportedCodec if FFmpeg has no decoder for it; both call the file
    by name.
    """

    def __init__(self, path: Path, name: str, pixels_max: int = PIXELS_MAX) -> None:
        self.corrupt_total = 0  # frames dropped because FFmpeg says they are damaged
        self.undecodable_total = 0  # packets that FFmpeg refused
        self.container = open_container(path, name, pixels_max)
        try:
            self.stream = video_stream(self.container, name, pixels_max)
        except MediaError:
            self.container.close()
            raise
        self._path = path
        self._name = name
        self._pixels_max = pixels_max
        self._position = 0  # the byte of the file at which the packet read last begins
        self._begin_s = begin_s(self.container, self.stream)
        self.said_s = said_duration_s(self.container, self._begin_s)  # None: it does not say
        self._counts = self.container.format.name in COUNTED
        self.may_be_longer = "matroska" in self.container.format.name
        """Whether documents may have been joined, of which the first one says its own length:
        fragments of a stream, one after the other."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.container.close()

    @property
    def codec(self) -> str:
        return str(self.stream.codec_context.codec.canonical_name)

    def frames(self) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """(seconds from the start of the video, frame), in the order of presentation. Once.

        Raises MediaError at the end if nothing was whole, or if it came too early, and where
        pictures become too large.
        """
        timeline = Timeline(self._begin_s, self._frame_s)
        shown_s = None
        is_empty = True
        others_s = Fraction(0)  # where the other tracks end, as far as they were read
        for packet in self._packets():
            if packet is not None and packet.stream_index != self.stream.index:
                ends_s = (_time_s(packet) or Fraction(0)) + _duration_s(packet)
                others_s = max(others_s, ends_s - self._begin_s)
                continue
            if packet is not None and not packet.size:
                # A frame that was left out. To FFmpeg an empty packet means the end.
                timeline.skip(1 if self._counts else 0)
                continue
            is_empty = is_empty and packet is None
            lost = self.corrupt_total + self.undecodable_total
            for frame in self._decode(packet):
                shown_s = timeline.place(self._shown_s(frame), _duration_s(frame))
                yield shown_s, frame
            if self._counts:
                timeline.skip(self.corrupt_total + self.undecodable_total - lost)
        if is_empty:
            raise MediaError(
                f"{self._name} has no frames: its {self.codec} video is empty; it was cut off, or "
                "is damaged"
            )
        if shown_s is None:
            raise MediaError(
                f"nothing of {self._name} can be decoded: its {self.codec} video is "
                f"damaged, or its pictures have more than {self._pixels_max} pixels"
            )
        if self.may_be_longer and goes_on(self._path, self._name, self._position):
            raise MediaError(
                f"{self._name} holds several recordings behind each other, of which only the first "
                f"{float(timeline.reached_s):.1f} s can be read; join them into one first"
            )
        self._check_end(timeline.reached_s, others_s)

    def measured_s(self) -> Fraction:
        """How long the video plays, by reading all its packets. Instead of frames()."""
        timeline = Timeline(self._begin_s, self._frame_s)
        for packet in self._packets():
            if packet is not None and packet.stream_index == self.stream.index:
                timeline.place(self._shown_s(packet), _duration_s(packet))
        return timeline.reached_s

    @property
    def _frame_s(self) -> Fraction:
        rate = self.stream.average_rate or self.stream.guessed_rate
        return 1 / rate if rate else _FRAME_S

    def _packets(self) -> Iterator["_Packet | None"]:
        """All tracks' packets, None at the end. A file that is damaged past reading ends there."""
        try:
            for packet in self.container.demux():
                self._position = max(self._position, packet.pos or 0)
                if packet.size or packet.dts is not None:  # PyAV ends with one of neither
                    yield packet
        except av.FFmpegError:
            pass  # whether this is too early is seen by how far it was read
        yield None

    def _decode(self, packet: "_Packet | None") -> Iterator[av.VideoFrame]:
        """Whole frames that come out now; None brings out what is left."""
        whose = f"{self._name} cannot be decoded: its"
        codec = self.stream.codec_context
        if packet is not None and codec.name in CODECS:
            length_size = nal.length_size(codec.name, codec.extradata or b"")
            for size in announced(codec.name, bytes(packet), length_size):
                check_size(size, self._pixels_max, whose)
        frames: list[av.VideoFrame] = []
        try:
            frames = self.stream.decode(packet)
        except EOFError:
            pass  # nothing was ever fed
        except (av.FFmpegError, OverflowError):
            self.undecodable_total += 1
        check_context(codec, self._pixels_max, whose)
        for frame in frames:
            if frame.is_corrupt:
                self.corrupt_total += 1
            else:
                yield frame

    def _shown_s(self, timed: "_Packet | av.VideoFrame") -> Fraction | None:
        return None if self._counts else _time_s(timed)

    def _check_end(self, reached_s: Fraction, others_s: Fraction) -> None:
        said_s = said_end_s(self.stream, self._begin_s)
        if said_s is None:
            # Only the whole file says how long it is, and a sound may well outlast the picture.
            said_s, reached_s = self.said_s, max(reached_s, others_s)
        if said_s is not None and said_s - reached_s > max(_MISSING_S, said_s * _MISSING_RATIO):
            raise MediaError(
                f"{self._name} ends after {float(reached_s):.1f} s, but says that it has "
                f"{float(said_s):.1f} s; it was cut off, or is damaged from there on"
            )


def _time_s(timed: "_Packet | av.VideoFrame") -> Fraction | None:
    return None if timed.pts is None or timed.time_base is None else timed.pts * timed.time_base


def _duration_s(timed: "_Packet | av.VideoFrame") -> Fraction:
    return (timed.duration or 0) * (timed.time_base or Fraction(0))
