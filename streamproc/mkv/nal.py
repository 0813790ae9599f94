"""H.264 and H.265 as Matroska carries them: NAL units behind lengths or behind start codes.

Pure. Knows which codec ids mean H.264 and H.265, tells the two framings apart and turns one
into the other. Knows nothing of decoding, and of Matroska nothing but codec ids.

Sources: ISO/IEC 14496-15 (the configuration records avcC and hvcC), ITU-T H.264 and H.265
annex B (start codes), the Matroska codec registry.
"""

START_CODE = b"\x00\x00\x00\x01"

CODECS = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    # The spellings of Amazon's own guides, which producers copy.
    "V_MPEG/ISO/AVC": "h264",
    "V_MPEG/ISO/HEVC": "hevc",
}
"""Matroska's codec id to FFmpeg's name of the codec."""

_H264_IDR = 5
_HEVC_IRAP = range(16, 24)
_H264_SETS = {7, 8}  # sequence and picture parameter sets
_HEVC_SETS = {32, 33, 34}  # video, sequence and picture parameter sets


def is_annex_b(codec_private: bytes) -> bool:
    """Whether parameter sets stand behind start codes, or are absent; avcC and hvcC open on 1."""
    return codec_private[:1] != b"\x01"


def length_size(codec: str, codec_private: bytes) -> int:
    """Bytes of the length before each NAL unit, 1 to 4; 4 where the configuration does not say."""
    at = 4 if codec == "h264" else 21
    if is_annex_b(codec_private) or len(codec_private) <= at:
        return 4
    return (codec_private[at] & 3) + 1


def is_length_prefixed(payload: bytes, size: int) -> bool:
    """Whether lengths of this size chain exactly to the payload's end.

    The first bytes alone do not tell: 00 00 01 xx is a start code and a length of 256 to 511.
    """
    at = 0
    while at + size < len(payload):
        length = int.from_bytes(payload[at : at + size])
        if length == 0:
            return False
        at += size + length
    return at == len(payload) > 0


def has_start_code(payload: bytes) -> bool:
    return payload.startswith((START_CODE, START_CODE[1:]))


def units_by_length(payload: bytes, size: int) -> list[bytes]:
    """NAL units behind lengths of this size; the last is cut short where the payload is."""
    units = []
    at = 0
    while at + size < len(payload):
        length = int.from_bytes(payload[at : at + size])
        units.append(payload[at + size : at + size + length])
        at += size + length
    return units


def units_by_start_code(payload: bytes) -> list[bytes]:
    """NAL units between start codes. Zeros before a start code belong to no unit."""
    parts = payload.split(START_CODE[1:])[1:]
    return [unit for part in parts if (unit := part.rstrip(b"\x00"))]


def with_lengths(units: list[bytes], size: int = 4) -> bytes:
    """Raises OverflowError if a unit is too long for its length."""
    return b"".join(len(unit).to_bytes(size) + unit for unit in units)


def with_start_codes(units: list[bytes]) -> bytes:
    return b"".join(START_CODE + unit for unit in units)


def opens_decoding(codec: str, units: list[bytes]) -> bool:
    """Whether decoding can begin here: an IDR picture of H.264, an IRAP picture of H.265."""
    if codec == "h264":
        return any(unit[0] & 0x1F == _H264_IDR for unit in units if unit)
    return any(unit[0] >> 1 & 0x3F in _HEVC_IRAP for unit in units if unit)


def is_parameter_set(codec: str, unit: bytes) -> bool:
    if codec == "h264":
        return bool(unit) and unit[0] & 0x1F in _H264_SETS
    return bool(unit) and unit[0] >> 1 & 0x3F in _HEVC_SETS
