"""Small films made on the spot, taken apart into what a decoder is fed with."""

import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import av
import numpy as np

from streamproc.mkv import nal
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentStarted,
    Image,
    MediaEvent,
    Packet,
    Track,
    TrackKind,
)

Shown = tuple[int, int]
"""When a picture is shown, in ms, and a checksum of its BGR bytes."""


@dataclass(frozen=True)
class Coded:
    pts_ms: int
    keyframe: bool
    payload: bytes


@dataclass(frozen=True)
class Clip:
    track: Track
    packets: tuple[Coded, ...]  # in decode order
    shown: tuple[Shown, ...]  # what FFmpeg makes of the whole file, in presentation order
    file: bytes


@cache
def film(
    encoder: str = "libx264",
    *,
    frames: int = 40,
    size: tuple[int, int] = (160, 120),
    keyframe_every: int = 10,
    b_frames: int = 0,
    pixels: str = "yuv420p",
    container: str = "matroska",
    colour: tuple[int, int, int] | None = None,
    full_range: bool = False,
) -> Clip:
    """A moving bar at 25 frames a second, or one plain BGR colour."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = cast("av.VideoStream", output.add_stream(encoder, rate=25))
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if full_range:
            stream.color_range = 2
        stream.options = _options(encoder, keyframe_every, b_frames)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(_drawing(size, number, colour), format="bgr24")
            frame = frame.reformat(format=pixels, dst_color_range=2 if full_range else 1)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return take_apart(buffer.getvalue())


def take_apart(file: bytes) -> Clip:
    """Any recording, as packets and as FFmpeg shows it when it has the whole file."""
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        to_ms = 1000 * (stream.time_base or 0)
        packets = tuple(
            Coded(round(packet.pts * to_ms), packet.is_keyframe, bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        )
        track = Track(
            number=1,
            kind=TrackKind.VIDEO,
            codec_id="V_MPEGH/ISO/HEVC" if codec.name == "hevc" else "V_MPEG4/ISO/AVC",
            codec_private=codec.extradata or b"",
            width=codec.width,
            height=codec.height,
        )
    with av.open(io.BytesIO(file), "r") as container:
        shown = tuple(
            (round((frame.pts or 0) * to_ms), checksum(frame.to_ndarray(format="bgr24")))
            for frame in container.decode(video=0)
        )
    return Clip(track, packets, shown, file)


def in_annex_b(clip: Clip, *, short_codes: bool = False, in_band: bool = False) -> Clip:
    """The same film behind start codes, its parameter sets in CodecPrivate or in band."""
    code = nal.START_CODE[1:] if short_codes else nal.START_CODE
    sets = b"".join(code + unit for unit in parameter_sets(clip.track))
    packets = tuple(
        replace(
            packet,
            payload=(sets if in_band and packet.keyframe else b"")
            + b"".join(code + unit for unit in nal.units_by_length(packet.payload, 4)),
        )
        for packet in clip.packets
    )
    private = b"" if in_band else sets
    return replace(clip, packets=packets, track=replace(clip.track, codec_private=private))


def parameter_sets(track: Track) -> list[bytes]:
    """The NAL units inside avcC or hvcC (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1)."""
    record = track.codec_private
    units = []

    def take(at: int, count: int) -> int:
        for _ in range(count):
            length = int.from_bytes(record[at : at + 2])
            units.append(record[at + 2 : at + 2 + length])
            at += 2 + length
        return at

    if nal.CODECS[track.codec_id] == "h264":
        at = take(6, record[5] & 31)
        take(at + 1, record[at])
    else:
        at = 23
        for _ in range(record[22]):
            at = take(at + 3, int.from_bytes(record[at + 1 : at + 3]))
    return units


def number_of(sequence: int) -> str:
    """A fragment number built as the service builds them."""
    return str(1 << 156 | sequence << 92 | 1_700_000_000_000 + sequence << 28)


def fragments(
    clip: Clip,
    *,
    sequence: int = 1,
    producer_s: float | None = 1_700_000_000.0,
    every: int | None = None,
) -> Iterator[MediaEvent]:
    """The clip as a consumer reads it: a fragment per keyframe, or per so many packets.

    producer_s None leaves out everything that only the service adds.
    """
    for index, group in enumerate(_groups(clip.packets, every)):
        number = "" if producer_s is None else number_of(sequence + index)
        start_ms = group[0].pts_ms
        stamp = None if producer_s is None else producer_s + start_ms / 1000
        fragment = Fragment(number, stamp, stamp, start_ms * 1_000_000, (clip.track,))
        yield FragmentStarted(fragment)
        for packet in group:
            offset_ns = (packet.pts_ms - start_ms) * 1_000_000
            yield Packet(1, offset_ns, packet.keyframe, packet.payload)
        yield FragmentEnded(number, complete=True)


def checksum(image: Image | np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> int:
    return zlib.crc32(np.ascontiguousarray(image).tobytes())


def _groups(packets: Sequence[Coded], every: int | None) -> list[list[Coded]]:
    groups: list[list[Coded]] = []
    for index, packet in enumerate(packets):
        if (index % every == 0) if every else packet.keyframe:
            groups.append([])
        groups[-1].append(packet)
    return groups


def _options(encoder: str, keyframe_every: int, b_frames: int) -> dict[str, object]:
    if encoder == "libx265":
        parameters = {
            "keyint": keyframe_every,
            "min-keyint": keyframe_every,
            "bframes": b_frames,
            "scenecut": 0,
            "open-gop": 0,
            "pools": "none",
            "log-level": "none",
        }
        text = ":".join(f"{key}={value}" for key, value in parameters.items())
        return {"x265-params": text, "preset": "ultrafast"}
    if encoder == "libx264":
        return {
            "g": str(keyframe_every),
            "keyint_min": str(keyframe_every),
            "bf": str(b_frames),
            "sc_threshold": "0",
            "preset": "veryfast",
            "threads": "1",
        }
    return {}


def _drawing(size: tuple[int, int], number: int, colour: tuple[int, int, int] | None) -> Image:
    width, height = size
    image = np.full((height, width, 3), colour or (40, 80, 20), np.uint8)
    if colour is None:
        left = number * 4 % width
        image[:, left : left + 20] = (200, 180, 240)
        image[number % height] = 255
    return image
