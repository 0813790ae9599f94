"""EBML in memory: the ids Matroska uses, variable-length integers, values, whole elements.

Pure functions over bytes (RFC 8794; the ids are RFC 9559's). Knows nothing of streams that
arrive in pieces (reader.py) nor of what tracks and tags mean (matroska.py).
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from streamproc.errors import MkvError

Buffer: TypeAlias = bytes | bytearray | memoryview

_SHOWN_MAX: Final = 160
UNKNOWN_SIZE: Final = b"\x01" + b"\xff" * 7  # in 8 bytes, as the service writes it


class Id:
    """Element ids, with their length marker, as they stand in the stream."""

    EBML: Final = 0x1A45DFA3
    DOC_TYPE: Final = 0x4282
    DOC_TYPE_VERSION: Final = 0x4287
    DOC_TYPE_READ_VERSION: Final = 0x4285
    EBML_MAX_ID_LENGTH: Final = 0x42F2
    EBML_MAX_SIZE_LENGTH: Final = 0x42F3
    EBML_READ_VERSION: Final = 0x42F7
    EBML_VERSION: Final = 0x4286
    VOID: Final = 0xEC
    CRC_32: Final = 0xBF

    SEGMENT: Final = 0x18538067
    SEEK_HEAD: Final = 0x114D9B74
    CUES: Final = 0x1C53BB6B
    CHAPTERS: Final = 0x1043A770
    ATTACHMENTS: Final = 0x1941A469

    INFO: Final = 0x1549A966
    TIMECODE_SCALE: Final = 0x2AD7B1
    MUXING_APP: Final = 0x4D80
    WRITING_APP: Final = 0x5741

    TRACKS: Final = 0x1654AE6B
    TRACK_ENTRY: Final = 0xAE
    TRACK_NUMBER: Final = 0xD7
    TRACK_UID: Final = 0x73C5
    TRACK_TYPE: Final = 0x83
    FLAG_LACING: Final = 0x9C
    NAME: Final = 0x536E
    CODEC_ID: Final = 0x86
    CODEC_PRIVATE: Final = 0x63A2
    VIDEO: Final = 0xE0
    PIXEL_WIDTH: Final = 0xB0
    PIXEL_HEIGHT: Final = 0xBA

    CLUSTER: Final = 0x1F43B675
    TIMECODE: Final = 0xE7
    POSITION: Final = 0xA7
    SIMPLE_BLOCK: Final = 0xA3
    BLOCK_GROUP: Final = 0xA0
    BLOCK: Final = 0xA1
    REFERENCE_BLOCK: Final = 0xFB

    TAGS: Final = 0x1254C367
    TAG: Final = 0x7373
    SIMPLE_TAG: Final = 0x67C8
    TAG_NAME: Final = 0x45A3
    TAG_STRING: Final = 0x4487


# By first byte: how many bytes the integer has; 0 for a first byte of 0, which none may have.
VINT_LENGTH: Final = bytes([0] + [9 - byte.bit_length() for byte in range(1, 256)])
_VINT_VALUE_MAX: Final = tuple((1 << 7 * length) - 1 for length in range(9))


def read_vint(data: Buffer, start: int, position: int) -> tuple[int, int]:
    """Return the integer at start without its marker, and the offset behind it.

    Raises MkvError if it has more than 8 bytes or is cut short.
    """
    length = VINT_LENGTH[data[start]] if start < len(data) else 0
    stop = start + length
    if not length or stop > len(data):
        raise MkvError(f"No variable-length integer at byte {position}: the stream is damaged")
    return int.from_bytes(data[start:stop], "big") & _VINT_VALUE_MAX[length], stop


def read_header(data: Buffer, start: int, position: int) -> tuple[int, int | None, int] | None:
    """Read the element header at start; position is its place in the stream, for errors.

    Returns the id, the size (None if unknown) and the offset of the body, or None while
    bytes are missing. Raises MkvError for an id above 4 bytes or a size above 8.
    """
    length = len(data)
    if start >= length:
        return None
    id_length = VINT_LENGTH[data[start]]
    if not 0 < id_length <= 4:
        raise MkvError(
            f"Byte {position} is 0x{data[start]:02X}, which opens no Matroska element: "
            "the stream is damaged or is no Matroska"
        )
    size_at = start + id_length
    if size_at >= length:
        return None
    size_length = VINT_LENGTH[data[size_at]]
    if not size_length:
        raise MkvError(f"The element at byte {position} has a size of more than 8 bytes: damaged")
    body_at = size_at + size_length
    if body_at > length:
        return None
    id_ = data[start] if id_length == 1 else int.from_bytes(data[start:size_at], "big")
    unknown = _VINT_VALUE_MAX[size_length]
    size = int.from_bytes(data[size_at:body_at], "big") & unknown
    return id_, None if size == unknown else size, body_at


def children(body: Buffer, position: int) -> Iterator[tuple[int, Buffer, int]]:
    """Walk a master held in memory: id, body and body's position of each child in turn. Bodies
    of a memoryview are memoryviews: nothing is copied, however deep one goes.

    Raises MkvError if a child claims more than its parent has.
    """
    start = 0
    while start < len(body):
        header = read_header(body, start, position + start)
        if header is None:
            raise MkvError(f"The element at byte {position + start} is cut by its parent's end")
        id_, size, body_at = header
        if size is None or body_at + size > len(body):
            claim = "an unknown size" if size is None else f"{size} bytes"
            raise MkvError(
                f"Element 0x{id_:X} at byte {position + start} claims {claim}, "
                f"but its parent ends at byte {position + len(body)}: the stream is damaged"
            )
        yield id_, body[body_at : body_at + size], position + body_at
        start = body_at + size


def read_uint(body: Buffer, position: int) -> int:
    """An unsigned integer of 0 to 8 bytes; no bytes mean 0. Raises MkvError if longer."""
    if len(body) > 8:
        raise MkvError(f"The integer at byte {position} has {len(body)} bytes; 8 are the most")
    return int.from_bytes(body, "big")


def read_string(body: Buffer) -> str:
    """A string up to its first NUL, with which old producers pad; bad UTF-8 is replaced."""
    return bytes(body).partition(b"\0")[0].decode("utf-8", "replace")


def shown(text: str) -> str:
    """What an element says, for a message: in quotes, printable, and of a bounded length."""
    return repr(text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "...")


def id_bytes(id_: int) -> bytes:
    return id_.to_bytes((id_.bit_length() + 7) // 8, "big")


def size_bytes(size: int, length: int | None = None) -> bytes:
    """Encode a size in the given number of bytes, or in as few as will do.

    Raises ValueError if it does not fit; all value bits set would mean "unknown".
    """
    if length is None:
        length = max(1, -(-(size + 1).bit_length() // 7))
    if not 1 <= length <= 8 or not 0 <= size < (1 << 7 * length) - 1:
        raise ValueError(f"size {size} does not fit {length} bytes; use at most 8 bytes")
    return (size | 1 << 7 * length).to_bytes(length, "big")


def uint_bytes(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def element(id_: int, *parts: bytes, size_length: int | None = None) -> bytes:
    """A whole element around the parts of its body; the size in as few bytes as will do."""
    size = sum(map(len, parts))
    return b"".join((id_bytes(id_), size_bytes(size, size_length), *parts))
