"""Coded pictures put together again where FFmpeg has cut them in two.

Servers such as GStreamer's may send parameter sets before every slice of a keyframe, and FFmpeg's
parser takes any parameter set for the beginning of another picture. Half a picture decodes to
garbage until the next keyframe. Pure. Knows which slice is a picture's first; knows nothing of
RTSP.

Sources: ITU-T H.264 7.3.3 (first_mb_in_slice comes first, and 0 is coded as a single 1 bit) and
H.265 7.3.6.1 (first_slice_segment_in_pic_flag comes first).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from streamproc.mkv import nal

PARTS_MAX, BYTES_MAX = 256, 8 * 1024 * 1024
"""Of one picture. What goes on for longer is passed on as it is, rather than kept for ever."""

_H264_SLICES = {1, 5}
_HEVC_SLICES = range(32)


@dataclass(frozen=True, slots=True)
class Part:
    """What a demuxer takes for one coded picture."""

    payload: bytes = field(repr=False)
    pts_s: float
    duration_s: float
    keyframe: bool


def whole_pictures(codec: str, parts: Iterable[Part]) -> Iterator[Part]:
    """Every picture whole; codec is h264 or hevc. Behind start codes a keyframe is held back until
    the next packet comes, which may be its rest; nothing else is."""
    held: list[Part] = []
    held_bytes = 0
    for part in parts:
        if held:
            rest = _rest(codec, part.payload)
            if rest and len(held) < PARTS_MAX and held_bytes + len(rest) <= BYTES_MAX:
                held.append(replace(part, payload=rest))
                held_bytes += len(rest)
                continue
            yield _whole(held)
            held = []
        if part.keyframe and nal.has_start_code(part.payload):
            held, held_bytes = [part], len(part.payload)
        else:
            yield part
    if held:
        yield _whole(held)


def _whole(parts: list[Part]) -> Part:
    # The first packet of a stream has its time from the later ones: RTSP gives it none.
    payload = b"".join(part.payload for part in parts)
    return replace(parts[-1], payload=payload, keyframe=True)


def _rest(codec: str, payload: bytes) -> bytes:
    """The slices, if they go on with the picture before; b"" if they begin another one."""
    if not nal.has_start_code(payload):
        return b""
    units = nal.units_by_start_code(payload)
    header_size = 1 if codec == "h264" else 2
    for index, unit in enumerate(units):
        if len(unit) > header_size and _is_slice(codec, unit):
            is_first = bool(unit[header_size] & 0x80)
            return b"" if is_first else nal.with_start_codes(units[index:])
    return b""


def _is_slice(codec: str, unit: bytes) -> bool:
    if codec == "h264":
        return unit[0] & 0x1F in _H264_SLICES
    return unit[0] >> 1 & 0x3F in _HEVC_SLICES
