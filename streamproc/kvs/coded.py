"""Coded pictures of one video track, in the form that Matroska wants.

Knows lengths and start codes, and where parameter sets come from: a container's header, or in
band before a keyframe, where they may change on the way. Knows nothing of where packets come
from, nor of time.
"""

import io
from dataclasses import dataclass, field

import av

from streamproc.mkv import nal
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentStarted, Track, TrackKind

CODEC_IDS = {"h264": "V_MPEG4/ISO/AVC", "hevc": "V_MPEGH/ISO/HEVC"}
"""FFmpeg's names of the codecs that need no transcoding, to Matroska's."""


@dataclass(frozen=True, slots=True)
class CodedPacket:
    """One coded picture, in decode order. A packet of another track than the one before needs a
    document of its own: the picture's size or its parameter sets have changed."""

    track: Track
    pts_s: float  # presentation time, as its source counts it
    duration_s: float
    keyframe: bool
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source sends."""

    codec: str  # FFmpeg's name of it, such as h264 or mjpeg
    width: int  # pixels
    height: int
    fps: float | None  # None where the source does not say
    transcoding: bool = False  # whether H.264 is made of it here
    left_out: tuple[str, ...] = ()  # tracks that are not read, such as "aac audio"

    def __str__(self) -> str:
        rate = f" at {self.fps:.3g} fps" if self.fps else ""
        return f"{self.codec} {self.width}x{self.height}{rate}"


class Conformer:
    """Brings packets of H.264 or H.265 into the form that Matroska wants.

    codec is h264 or hevc; extradata is what the container says of it: avcC, hvcC, parameter sets
    behind start codes, or nothing, if they come in band.
    """

    def __init__(self, codec: str, extradata: bytes, width: int, height: int) -> None:
        self._codec = codec
        self._sets: list[bytes] = []
        self.track: Track | None = None  # None until parameter sets have been seen
        if nal.is_annex_b(extradata):
            self._sets = nal.units_by_start_code(extradata)
        else:
            self.track = Track(1, TrackKind.VIDEO, CODEC_IDS[codec], extradata, width, height)
            self._is_fixed = True
            return
        self._is_fixed = False

    def packet(
        self, payload: bytes, pts_s: float, duration_s: float, keyframe: bool
    ) -> CodedPacket | None:
        """None while nothing could decode it: before a keyframe with parameter sets."""
        if self._is_fixed or not nal.has_start_code(payload):
            track = self.track
        else:
            track = self._followed(nal.units_by_start_code(payload), keyframe)
        if track is None:
            return None
        size = nal.length_size(self._codec, track.codec_private)
        if not nal.is_length_prefixed(payload, size) and nal.has_start_code(payload):
            payload = nal.with_lengths(nal.units_by_start_code(payload), size)
        return CodedPacket(track, pts_s, duration_s, keyframe, payload)

    def _followed(self, units: list[bytes], keyframe: bool) -> Track | None:
        """The track as this packet has it: parameter sets in band may be new ones."""
        if not keyframe:
            return self.track
        in_band = [unit for unit in units if nal.is_parameter_set(self._codec, unit)]
        if self.track is not None and set(in_band) <= set(self._sets):
            return self.track
        self._sets = in_band or self._sets
        self.track = _described(self._codec, self._sets, units)
        return self.track


def _described(codec: str, sets: list[bytes], units: list[bytes]) -> Track | None:
    """The track of a keyframe, with avcC or hvcC as FFmpeg's own muxer makes it; None if its
    parameter sets are missing or broken."""
    pictures = [unit for unit in units if not nal.is_parameter_set(codec, unit)]
    # Short start codes: FFmpeg would take the long one's first zero for a set's last byte.
    stream = io.BytesIO(b"".join(nal.START_CODE[1:] + unit for unit in sets + pictures))
    document = io.BytesIO()
    try:
        with av.open(stream, "r", format=codec) as source:
            video = source.streams.video[0]
            packet = next(packet for packet in source.demux(video) if packet.size)
            with av.open(document, "w", format="matroska") as output:
                packet.stream = output.add_stream_from_template(video)
                packet.pts = packet.dts = 0
                packet.is_keyframe = True
                output.mux(packet)
        started = FragmentParser().feed(document.getvalue())[0]
    except (av.FFmpegError, ValueError, StopIteration, IndexError):
        return None
    assert isinstance(started, FragmentStarted)
    track = started.fragment.tracks[0]
    return track if track.codec_private and track.width else None
