"""Video files as coded packets: H.264 or H.265 as it is, anything else as H.264, if asked.

Knows containers through PyAV, and that a folder is its videos one after the other. Knows nothing
of streams or time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av

from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.kvs.coded import CODEC_IDS, CodedPacket, Conformer
from streamproc.kvs.tracks import Container, codec_name, left_out, video_stream
from streamproc.kvs.transcoding import H264Encoder, TimedPicture

_FRAME_S = Fraction(1, 25)  # where a file tells neither durations nor a rate
_MISSING_RATIO = 0.05  # headers round, and count an audio track that goes on a little longer
_SUFFIXES = (
    *(".264", ".265", ".3gp", ".asf", ".avi", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v"),
    *(".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)


class Footage(Protocol):
    """Recorded video that can be played again and again."""

    @property
    def name(self) -> str: ...
    @property
    def duration_s(self) -> float | None:
        """None where the files do not say."""
        ...

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not read, such as "aac audio"."""
        ...

    @property
    def transcoding(self) -> str:
        """The codec that H.264 is made of; "" where packets are passed on as they are."""
        ...

    @property
    def damage(self) -> str:
        """What packets() found wrong so far, in a person's words."""
        ...

    def packets(self) -> Iterator[CodedPacket]:
        """Every packet from the first keyframe on; each call reads anew."""
        ...


class Recording:
    """A file that was looked into. Implements Footage. Holds nothing open.

    Raises MediaError if the file is missing, unreadable or without video, UnsupportedCodec if
    its video is neither H.264 nor H.265 and transcode was not asked for.
    """

    def __init__(self, path: Path, *, transcode: bool = False) -> None:
        self.path = path
        self.name = path.name
        self.damage = ""
        with _open(path) as container:
            stream = _video_stream(container, path)
            codec = codec_name(stream)
            if codec not in CODEC_IDS and not transcode:
                raise UnsupportedCodec(
                    f"{path} is {codec} video, and Kinesis video streams want H.264 or H.265; "
                    "--transcode makes H.264 of it on the way"
                )
            self.transcoding = "" if codec in CODEC_IDS else codec
            self.duration_s = _duration_s(container, stream)
            self.left_out = left_out(container, stream)

    def packets(self) -> Iterator[CodedPacket]:
        """A file that is damaged on the way, or cut, ends there; damage says where."""
        with _open(self.path) as container:
            stream = _video_stream(container, self.path)
            begin_s = next_s = shown_s = Fraction(0)
            codec = _Encoding() if self.transcoding else _Passing(stream)
            started = False
            try:
                for packet in container.demux(stream):
                    if not (started or packet.is_keyframe):
                        continue
                    if packet.size:
                        pts_s, duration_s = _times(packet, stream, next_s)
                        begin_s = begin_s if started else pts_s
                        started = True
                        next_s = max(next_s, pts_s + duration_s)
                        shown_s += duration_s
                    else:  # the end: what a decoder still holds comes out
                        pts_s, duration_s = next_s, Fraction(0)
                    yield from codec.packets(packet, pts_s, duration_s)
            except av.FFmpegError as error:
                self.damage = f"{self.path} is damaged {_s(next_s - begin_s)} in: {error.strerror}"
                return
        # Whichever is longer: times may start again on the way, durations may be a guess.
        length_s, said_s = max(next_s - begin_s, shown_s), self.duration_s or 0
        if said_s - length_s > max(1, said_s * _MISSING_RATIO):
            self.damage = f"{self.path} ends after {_s(length_s)}, but says it has {_s(said_s)}"


class Folder:
    """The videos of a folder in order of their names. Implements Footage.

    A file that is no video that can be read is passed over: left_out says which, and why. Raises
    MediaError if nothing is left.
    """

    def __init__(self, path: Path, *, transcode: bool = False) -> None:
        self.name = path.name or str(path)
        recordings: list[Recording] = []
        passed_over: list[str] = []
        for file in _videos(path):
            try:
                recordings.append(Recording(file, transcode=transcode))
            except MediaError as error:
                passed_over.append(f"{file.name} ({error})")
        if not recordings:
            why = f": {passed_over[0]}" if passed_over else ""
            raise MediaError(f"{path} has no video that can be sent{why}")
        self._recordings = recordings
        self.left_out = (*passed_over, *(n for r in recordings for n in _of(r)))
        self.transcoding = ", ".join(sorted({r.transcoding for r in recordings} - {""}))
        durations = [recording.duration_s for recording in recordings]
        self.duration_s = None if None in durations else sum(d for d in durations if d is not None)

    @property
    def damage(self) -> str:
        return "; ".join(r.damage for r in self._recordings if r.damage)

    def packets(self) -> Iterator[CodedPacket]:
        """Times start again with each file, as they do with each round of a loop."""
        for recording in self._recordings:
            begin_s: float | None = None
            for packet in recording.packets():
                begin_s = packet.pts_s if begin_s is None else begin_s
                yield replace(packet, pts_s=packet.pts_s - begin_s)


class _Passing:
    """H.264 or H.265 as it is."""

    def __init__(self, stream: av.VideoStream) -> None:
        codec = stream.codec_context
        self._conformer = Conformer(
            codec_name(stream), codec.extradata or b"", codec.width, codec.height
        )

    def packets(
        self, packet: "av.Packet[av.VideoStream]", pts_s: Fraction, duration_s: Fraction
    ) -> Sequence[CodedPacket]:
        if not packet.size:
            return ()
        coded = self._conformer.packet(
            bytes(packet), float(pts_s), float(duration_s), packet.is_keyframe
        )
        return () if coded is None else (coded,)


class _Encoding:
    """Anything else, decoded and coded anew."""

    def __init__(self) -> None:
        self._encoder = H264Encoder()

    def packets(
        self, packet: "av.Packet[av.VideoStream]", pts_s: Fraction, _duration_s: Fraction
    ) -> Sequence[CodedPacket]:
        coded: list[CodedPacket] = []
        for frame in packet.decode():
            at_s = pts_s if frame.pts is None else frame.pts * (frame.time_base or Fraction(1))
            coded += self._encoder.encode(TimedPicture(float(at_s), frame))
        return coded


def _open(path: Path) -> Container:
    if not path.exists():
        raise MediaError(f"{path} does not exist")
    if not path.is_file():
        raise MediaError(f"{path} is not a file")
    try:
        return av.open(path, "r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path} is not a video file that can be read: {error.strerror}") from None


def _video_stream(container: Container, path: Path) -> av.VideoStream:
    stream = video_stream(container)
    if stream is None:
        kinds = ", ".join(str(stream.type) for stream in container.streams)
        raise MediaError(f"{path} has no video track{', only ' + kinds if kinds else ''}")
    return stream


def _duration_s(container: Container, stream: av.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _times(
    packet: "av.Packet[av.VideoStream]", stream: av.VideoStream, next_s: Fraction
) -> tuple[Fraction, Fraction]:
    """When the packet is shown, and for how long, in seconds."""
    time_base = stream.time_base or Fraction(1)
    # A bare elementary stream has no times: count frames.
    pts_s = next_s if packet.pts is None else packet.pts * time_base
    duration_s = (packet.duration or 0) * time_base
    if not duration_s:
        duration_s = 1 / stream.average_rate if stream.average_rate else _FRAME_S
    return pts_s, duration_s


def _videos(folder: Path) -> list[Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise MediaError(f"{folder} cannot be read: {error.strerror}") from None
    return [f for f in files if f.suffix.lower() in _SUFFIXES and f.is_file()]


def _of(recording: Recording) -> list[str]:
    return [f"{recording.name}: {name}" for name in recording.left_out]


def _s(seconds: float | Fraction) -> str:
    return f"{float(seconds):.1f} s"
