"""A video file as coded packets: H.264 or H.265 as it is, nothing transcoded.

Knows containers through PyAV, and brings every packet into the form that Matroska wants
(lengths before NAL units, parameter sets as avcC or hvcC). Knows nothing of streams or time.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.mkv import nal
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentStarted, Track, TrackKind

_CODEC_IDS = {"h264": "V_MPEG4/ISO/AVC", "hevc": "V_MPEGH/ISO/HEVC"}
_FRAME_S = Fraction(1, 25)  # where a file tells neither durations nor a rate
_MISSING_RATIO = 0.05  # headers round, and count an audio track that goes on a little longer


@dataclass(frozen=True, slots=True)
class CodedPacket:
    """One coded picture, in decode order."""

    pts_s: float  # presentation time, as the file counts it
    duration_s: float
    keyframe: bool
    payload: bytes = field(repr=False)


class Recording:
    """A file that was looked into. Holds nothing open.

    Raises MediaError if the file is missing, unreadable or without video, UnsupportedCodec if
    its video is neither H.264 nor H.265.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""  # what packets() found wrong, in a person's words
        with _open(path) as container:
            stream = _video_stream(container, path)
            self.duration_s = _duration_s(container, stream)  # None where the file does not say
            self.left_out = tuple(  # tracks that are not read, such as "aac audio"
                f"{other.codec_context.name} {other.type}"
                for other in container.streams
                if other is not stream and getattr(other, "codec_context", None) is not None
            )
            self.track = _describe(container, stream, path)

    def packets(self) -> Iterator[CodedPacket]:
        """Every packet from the first keyframe on; each call reads the file anew.

        A file that is damaged on the way, or cut, ends there; damage says where.
        """
        with _open(self.path) as container:
            stream = _video_stream(container, self.path)
            begin_s = next_s = shown_s = Fraction(0)
            started = False
            try:
                for packet in container.demux(stream):
                    if not packet.size or not (started or packet.is_keyframe):
                        continue
                    coded, next_s = self._coded(packet, stream, next_s)
                    if not started:
                        begin_s, started = Fraction(coded.pts_s), True
                    shown_s += Fraction(coded.duration_s)
                    yield coded
            except av.FFmpegError as error:
                self.damage = f"{self.path} is damaged {_s(next_s - begin_s)} in: {error.strerror}"
                return
        # Whichever is longer: times may start again on the way, durations may be a guess.
        length_s, said_s = max(next_s - begin_s, shown_s), self.duration_s or 0
        if said_s - length_s > max(1, said_s * _MISSING_RATIO):
            self.damage = f"{self.path} ends after {_s(length_s)}, but says it has {_s(said_s)}"

    def _coded(
        self, packet: "av.Packet[av.VideoStream]", stream: av.VideoStream, next_s: Fraction
    ) -> tuple[CodedPacket, Fraction]:
        """The packet in Matroska's form, and when the next one is expected."""
        time_base = stream.time_base or Fraction(1)
        # A bare elementary stream has no times: count frames.
        pts_s = next_s if packet.pts is None else packet.pts * time_base
        duration_s = (packet.duration or 0) * time_base
        if not duration_s:
            duration_s = 1 / stream.average_rate if stream.average_rate else _FRAME_S
        payload = self._conform(bytes(packet))
        coded = CodedPacket(float(pts_s), float(duration_s), packet.is_keyframe, payload)
        return coded, max(next_s, pts_s + duration_s)

    def _conform(self, payload: bytes) -> bytes:
        size = nal.length_size(nal.CODECS[self.track.codec_id], self.track.codec_private)
        if nal.is_length_prefixed(payload, size) or not nal.has_start_code(payload):
            return payload
        return nal.with_lengths(nal.units_by_start_code(payload), size)


def _open(path: Path) -> av.container.InputContainer:
    if not path.exists():
        raise MediaError(f"{path} does not exist")
    if not path.is_file():
        raise MediaError(f"{path} is not a file")
    try:
        return av.open(path, "r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path} is not a video file that can be read: {error.strerror}") from None


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(str(stream.type) for stream in container.streams)
        raise MediaError(f"{path} has no video track{', only ' + kinds if kinds else ''}")
    name = _codec_name(streams[0])
    if name not in _CODEC_IDS:
        raise UnsupportedCodec(
            f"{path} is {name} video, and Kinesis video streams want H.264 or H.265; "
            f"convert it first: ffmpeg -i {path} -c:v libx264 -pix_fmt yuv420p -an converted.mp4"
        )
    return streams[0]


def _codec_name(stream: av.VideoStream) -> str:
    codec = getattr(stream, "codec_context", None)  # None where FFmpeg does not know the codec
    return str(codec.codec.canonical_name) if codec is not None else "unknown"


def _duration_s(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _describe(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> Track:
    codec = stream.codec_context
    private = codec.extradata or b""
    if nal.is_annex_b(private):
        private = _configuration_record(container, stream, path)
    return Track(
        number=1,
        kind=TrackKind.VIDEO,
        codec_id=_CODEC_IDS[_codec_name(stream)],
        codec_private=private,
        width=codec.width,
        height=codec.height,
    )


def _configuration_record(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path
) -> bytes:
    """avcC or hvcC of parameter sets behind start codes, as FFmpeg's own muxer makes it."""
    first = next((packet for packet in container.demux(stream) if packet.is_keyframe), None)
    if first is None:
        raise MediaError(f"{path} holds no keyframe; nothing of it can be decoded")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        copy = av.Packet(bytes(first))
        copy.stream = output.add_stream_from_template(stream)
        copy.pts = copy.dts = 0
        copy.time_base = stream.time_base or Fraction(1)
        copy.is_keyframe = True
        output.mux(copy)
    [event, *_] = FragmentParser().feed(buffer.getvalue())
    assert isinstance(event, FragmentStarted)
    return event.fragment.tracks[0].codec_private


def _s(seconds: float | Fraction) -> str:
    return f"{float(seconds):.1f} s"
