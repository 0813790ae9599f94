"""How large the pictures are that H.264 and H.265 parameter sets announce.

Asked before FFmpeg sees them. Its own limit (max_pixels) is on what is shown, and a sequence
parameter set may have 16000x16000 pixels coded and 16x16 of them shown: FFmpeg allocates what is
coded, half a gigabyte a picture. Knows nothing of any other codec: those are told from the
decoder's context, behind the first picture.

Sources: ITU-T H.264, 7.3.2.1.1; ITU-T H.265, 7.3.2.2.1 and 7.3.3; the records avcC and hvcC are
ISO/IEC 14496-15's.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

import av

from streamproc.errors import MediaError
from streamproc.mkv import nal

PIXELS_MAX = 8192 * 4320
"""By default. The largest pictures of H.264 and H.265, at level 6.2, are of this size."""

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels, as coded: whole blocks, of which a part may not be shown."""

CODECS = frozenset({"h264", "hevc"})
_TYPE = {"h264": 7, "hevc": 33}  # of the NAL unit that is a sequence parameter set
_IN_ANNEX_B = {
    "h264": re.compile(rb"\x00\x00\x01(?=[\x07\x27\x47\x67])"),
    "hevc": re.compile(rb"\x00\x00\x01(?=\x42\x01)"),
}
_SET_BYTES_MAX = 4096  # a lawful one has some hundred
_ANY = 1 << 32
_LINES_MAX = 16_888  # of H.264 and H.265 at level 6.2, at their flattest
_LOW_PROFILES = frozenset({66, 77, 88})
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})


class PicturesTooLarge(MediaError):
    """Pictures have more pixels than are decoded."""


def ffmpeg_options(pixels_max: int) -> dict[str, str]:
    """FFmpeg's own limit, a little above ours: it pads lines to 64 pixels before it counts, and
    what it refuses itself it passes over without a word."""
    return {"max_pixels": str(pixels_max + 63 * _LINES_MAX)}


def check_size(size: Size, pixels_max: int, whose: str) -> None:
    """Raises PicturesTooLarge; whose begins the message."""
    width, height = size
    if width * height > pixels_max:
        raise PicturesTooLarge(
            f"{whose} pictures have {width}x{height} pixels; at most {pixels_max} are decoded "
            "(media.picture_pixels_max)"
        )


def check_context(context: av.VideoCodecContext, pixels_max: int, whose: str) -> None:
    """The same of what a decoder has found out by itself."""
    # Of a picture that it refuses, FFmpeg has set the one and not always the other.
    check_size((context.width, context.height), pixels_max, whose)
    check_size((context.coded_width, context.coded_height), pixels_max, whose)


def announced(codec: str, payload: bytes, length_size: int) -> Iterator[Size]:
    """Sizes in the parameter sets of one packet, in either framing."""
    if nal.is_length_prefixed(payload, length_size):
        for unit in nal.units_by_length(payload, length_size):
            yield from _of_unit(codec, unit)
        return
    if not nal.has_start_code(payload):
        return
    for start_code in _IN_ANNEX_B[codec].finditer(payload):
        yield from _of_unit(codec, payload[start_code.end() : start_code.end() + _SET_BYTES_MAX])


def configured(codec: str, codec_private: bytes) -> Iterator[Size]:
    """Sizes in a CodecPrivate: avcC, hvcC, or parameter sets behind start codes."""
    if nal.is_annex_b(codec_private):
        yield from announced(codec, codec_private, 4)
        return
    for unit in _units_of_record(codec, codec_private):
        yield from _of_unit(codec, unit)


def _units_of_record(codec: str, record: bytes) -> Iterator[bytes]:
    at = 5 if codec == "h264" else 22
    arrays = record[at] if codec == "hevc" and at < len(record) else 1
    at += codec == "hevc"
    for _ in range(arrays):
        head = record[at : at + 3]
        if codec == "hevc":
            count, at = int.from_bytes(head[1:]), at + 3
        else:
            count, at = (head[0] & 31 if head else 0), at + 1
        for _ in range(count):
            if at >= len(record):
                return
            length = int.from_bytes(record[at : at + 2])
            yield record[at + 2 : at + 2 + length]
            at += 2 + length


def _of_unit(codec: str, unit: bytes) -> Iterator[Size]:
    """The size that this unit announces, if it is a parameter set that can be read."""
    kind = unit[0] if unit else 0
    if (kind & 31 if codec == "h264" else kind >> 1 & 63) != _TYPE[codec]:
        return
    # Three bytes 0 0 3 stand for 0 0: so no start code can be inside.
    bits = _Bits(unit[:_SET_BYTES_MAX].replace(b"\0\0\3", b"\0\0"))
    try:
        yield _h264_size(bits) if codec == "h264" else _hevc_size(bits)
    except ValueError:
        return  # FFmpeg cannot read it either


class _Bits:
    """Fixed and Exp-Golomb numbers. Raises ValueError behind the end, and at a number above its
    maximum: what looks like a parameter set and is none must not cost a camera its processor."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def fixed(self, count: int) -> int:
        self._at += count
        if self._at > len(self._bits):
            raise ValueError("the parameter set is cut off")
        return int(self._bits[self._at - count : self._at], 2)

    def skip(self, count: int) -> None:
        self._at += count

    def golomb(self, value_max: int) -> int:
        zeros = self._bits.find("1", self._at) - self._at
        if not 0 <= zeros <= 32:
            raise ValueError("the parameter set is damaged")
        self.skip(zeros)
        value = self.fixed(zeros + 1) - 1
        if value > value_max:
            raise ValueError(f"{value} in the parameter set is above {value_max}")
        return value

    def signed(self) -> int:
        value = self.golomb(_ANY)
        return (value + 1) // 2 if value % 2 else -(value // 2)


def _h264_size(bits: _Bits) -> Size:
    bits.skip(8)
    profile = bits.fixed(8)
    bits.skip(16)
    bits.golomb(31)  # seq_parameter_set_id
    if profile in _HIGH_PROFILES:
        chroma = bits.golomb(3)
        bits.skip(chroma == 3)
        bits.golomb(6)  # bit depths, above 8
        bits.golomb(6)
        bits.skip(1)
        if bits.fixed(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.fixed(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    elif profile not in _LOW_PROFILES:
        raise ValueError(f"there is no profile {profile}")
    bits.golomb(12)  # log2_max_frame_num_minus4
    order = bits.golomb(2)
    if order == 0:
        bits.golomb(12)
    elif order == 1:
        bits.skip(1)
        bits.signed()
        bits.signed()
        for _ in range(bits.golomb(255)):
            bits.signed()
    bits.golomb(16)  # max_num_ref_frames
    bits.skip(1)
    width, height = 16 * (bits.golomb(_ANY) + 1), 16 * (bits.golomb(_ANY) + 1)
    return width, height * (1 if bits.fixed(1) else 2)


def _skip_scaling_list(bits: _Bits, count: int) -> None:
    last = 8
    for _ in range(count):
        last = (last + bits.signed()) % 256
        if last == 0:
            return


def _hevc_size(bits: _Bits) -> Size:
    bits.skip(16 + 4)
    sub_layers = bits.fixed(3)
    bits.skip(1 + 88 + 8)  # the profile, its tier, and the level
    if sub_layers:
        told = [(bits.fixed(1), bits.fixed(1)) for _ in range(8)][:sub_layers]
        for profile, level in told:
            bits.skip(88 * profile + 8 * level)
    bits.golomb(15)  # sps_seq_parameter_set_id
    if bits.golomb(3) == 3:
        bits.skip(1)
    return bits.golomb(_ANY), bits.golomb(_ANY)
