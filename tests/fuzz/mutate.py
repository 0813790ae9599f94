"""Damage to bytes, and EBML trees that nobody would write. All of it out of one seeded chance."""

from collections.abc import Sequence
from random import Random

from streamproc.errors import MkvError
from streamproc.mkv.ebml import UNKNOWN_SIZE, Id, id_bytes, read_header, size_bytes

_NUMBERS = [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\xff" * 8]
_MASTERS = {
    Id.SEGMENT, Id.CLUSTER, Id.INFO, Id.TRACKS, Id.TRACK_ENTRY, Id.VIDEO, Id.TAGS, Id.TAG,
    Id.SIMPLE_TAG, Id.BLOCK_GROUP, Id.EBML,
}  # fmt: skip
IDS = sorted(value for name, value in vars(Id).items() if name.isupper())
_TEXTS = [
    b"matroska", b"webm", b"V_MPEG4/ISO/AVC", b"AWS_KINESISVIDEO_FRAGMENT_NUMBER", b"12\0",
    b"AWS_KINESISVIDEO_SERVER_TIMESTAMP", b"AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", b"\xff\xfe", b"",
    b"AWS_KINESISVIDEO_ERROR_CODE", b"AWS_KINESISVIDEO_END_OF_FRAGMENT", b"9134385233318143239268",
]  # fmt: skip


def damaged(data: bytes, chance: Random, other: bytes = b"") -> bytes:
    """A few things done to the bytes: flips, numbers, cuts, doublings, moves, splices."""
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(spoilt) + 1)
        size = chance.choice((1, 2, 8, 40, 400))
        match chance.randrange(8):
            case 0 | 1 if at < len(spoilt):
                spoilt[at] ^= 1 << chance.randrange(8)
            case 2 if at < len(spoilt):
                spoilt[at] = chance.randrange(256)
            case 3:
                number = chance.choice(_NUMBERS)
                spoilt[at : at + len(number)] = number
            case 4:
                del spoilt[at : at + size]
            case 5:
                begin = chance.randrange(len(spoilt) + 1)
                spoilt[at:at] = spoilt[begin : begin + size]
            case 6 if other:
                begin = chance.randrange(len(other))
                spoilt[at:] = other[begin:]
            case 7 if chance.random() < 0.3:
                del spoilt[at:]
    return bytes(spoilt)


Place = tuple[int, int, int, int]
"""Of an element: where its header, its size field and its body begin, and where it ends."""


def elements(data: bytes) -> list[Place]:
    """Every element of a sound document, at any depth."""
    found: list[Place] = []
    start = 0
    while start < len(data):
        try:
            header = read_header(data, start, start)
        except MkvError:
            break
        if header is None:
            break
        id_, size, body_at = header
        end = len(data) if size is None else body_at + size
        found.append((start, start + len(id_bytes(id_)), body_at, end))
        start = body_at if id_ in _MASTERS else end
    return found


def restructured(data: bytes, places: Sequence[Place], chance: Random) -> bytes:
    """One or a few elements with another size, another id, doubled, gone or at another's place."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        start, size_at, body_at, end = chance.choice(places)
        if end > len(data):
            continue
        match chance.randrange(6):
            case 0 | 1:
                data = data[:size_at] + any_size(chance, end - body_at) + data[body_at:]
            case 2:
                data = data[:start] + id_bytes(chance.choice(IDS)) + data[size_at:]
            case 3:
                data = data[:end] + data[start:end] * chance.choice((1, 1, 2, 30)) + data[end:]
            case 4:
                data = data[:start] + data[end:]
            case 5:
                begin, *_, stop = chance.choice(places)
                data = data[:start] + data[begin:stop] + data[start:]
    return data


def any_size(chance: Random, about: int) -> bytes:
    """A size field: near the truth, far from it, unknown, in any width."""
    match chance.randrange(5):
        case 0:
            return UNKNOWN_SIZE
        case 1:
            return b"\xff"
        case 2:
            return size_bytes(max(0, about + chance.randrange(-3, 4)), 8)
        case 3:
            return size_bytes(1 << chance.randrange(1, 55), 8)
        case _:
            return chance.randbytes(1)


def tree(chance: Random, depth: int = 0) -> bytes:
    """Elements of Matroska's ids in any order and in each other, mostly of honest sizes."""
    parts = []
    for _ in range(chance.choice((1, 1, 2, 4)) if depth else chance.randrange(1, 6)):
        id_ = chance.choice(IDS)
        if (id_ in _MASTERS and depth < 12) or chance.random() < 0.1:
            body = tree(chance, depth + 1) if depth < 12 else b""
        elif chance.random() < 0.4:
            body = chance.choice(_TEXTS)
        else:
            body = chance.randbytes(chance.choice((0, 1, 1, 2, 4, 8, 9, 30)))
        honest = chance.random() < 0.9
        size = size_bytes(len(body)) if honest else any_size(chance, len(body))
        parts.append(id_bytes(id_) + size + body)
    return b"".join(parts)
