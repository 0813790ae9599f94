"""Read Matroska elements out of bytes that arrive in any pieces.

Sans-I/O: bytes enter through feed(), tokens come out. Knows how elements nest and where those
of unknown size end; looks at each byte once and holds only the element that it must hand over
whole. Knows nothing of what an element means, of fragments or of AWS.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from struct import Struct
from typing import Final, TypeAlias

from streamproc.errors import MkvError
from streamproc.mkv.ebml import VINT_LENGTH, Buffer, Id, read_header

ELEMENT_BYTES_MAX: Final = 50_000_000
"""What a parser holds at most at a time: Kinesis Video takes no fragment above 50 MB, so no
element that it delivers is larger."""

ELEMENT_DEPTH_MAX: Final = 8
"""Four elements are around the tags that Kinesis Video carries. The reader itself goes no deeper
than Segment and Cluster."""

_TIMECODE_AND_FLAGS: Final = Struct(">hB")
_NO_END: Final = 1 << 63  # a position that no stream reaches


@dataclass(slots=True)
class Opened:
    """A Segment or a Cluster begins; what it holds follows."""

    id: int
    position: int  # of its header; every position counts bytes from the first one fed
    body_at: int


@dataclass(slots=True)
class Closed:
    """The Segment or Cluster opened last is over."""

    id: int
    position: int  # of the first byte behind it
    ended_by: int | None  # id of the element that cannot be inside it; None: its size is reached


@dataclass(slots=True)
class Value:
    """An element that was held whole."""

    id: int
    body_at: int
    end: int
    body: bytes = b""


@dataclass(slots=True)
class Block:
    """A SimpleBlock or a Block."""

    position: int
    end: int
    track: int
    timecode: int  # relative to its Cluster's, in units of TimecodeScale
    flags: int
    body: bytes = b""  # the payload behind the head, if the reader keeps payloads

    @property
    def keyframe(self) -> bool:
        return bool(self.flags & 0x80)

    @property
    def lacing(self) -> int:
        """0 none, 2 Xiph, 4 fixed size, 6 EBML."""
        return self.flags & 0x06


@dataclass(slots=True)
class Skipped:
    """An element that nobody asked for passed by."""

    id: int
    end: int
    body: bytes = b""  # stays empty


Leaf: TypeAlias = Value | Block | Skipped
Token: TypeAlias = Opened | Closed | Leaf


class _Kind(Enum):
    MASTER = "descend into it"
    VALUE = "hold it whole"
    BLOCK = "read its head, then hold or skip its payload"


_DOCUMENT: Final = {Id.EBML: _Kind.VALUE, Id.SEGMENT: _Kind.MASTER}
_CONTENT: Final[Mapping[int, Mapping[int, _Kind]]] = {
    Id.SEGMENT: {
        Id.INFO: _Kind.VALUE,
        Id.TRACKS: _Kind.VALUE,
        Id.TAGS: _Kind.VALUE,
        Id.CLUSTER: _Kind.MASTER,
    },
    Id.CLUSTER: {
        Id.TIMECODE: _Kind.VALUE,
        Id.SIMPLE_BLOCK: _Kind.BLOCK,
        Id.BLOCK_GROUP: _Kind.VALUE,
    },
}
# What cannot be inside and so ends the element where its size is unknown. Void and CRC-32 may
# be anywhere and end nothing.
_ENDED_BY: Final = {
    Id.SEGMENT: frozenset({Id.EBML, Id.SEGMENT}),
    Id.CLUSTER: frozenset(
        {Id.EBML, Id.SEGMENT, Id.SEEK_HEAD, Id.INFO, Id.TRACKS, Id.CLUSTER}
        | {Id.CUES, Id.CHAPTERS, Id.ATTACHMENTS, Id.TAGS}
    ),
}


@dataclass(slots=True)
class _Master:
    id: int
    sized: bool
    end: int  # its own, else its parent's, else _NO_END
    content: Mapping[int, _Kind]
    ended_by: frozenset[int]


class ElementReader:
    """Cuts a stream of Matroska documents into tokens.

    Exhaust what feed() returns before the next call. Raises MkvError, with the position, at
    whatever cannot be Matroska and at an element above element_bytes_max that would have to be
    held whole. Blocks are held only if payloads is set.
    """

    def __init__(self, *, payloads: bool, element_bytes_max: int = ELEMENT_BYTES_MAX) -> None:
        self.position = 0  # of the first byte whose element is not known yet
        self._payloads = payloads
        self._element_bytes_max = element_bytes_max
        self._masters = [_Master(0, False, _NO_END, _DOCUMENT, frozenset())]
        self._partial = b""  # an element's header so far, 22 bytes at most
        self._leaf: Leaf | None = None  # the element whose body goes on in the next piece ...
        self._held: BytesIO | None = None  # ... and what is there of it, if it is to be kept

    @property
    def cut(self) -> bool:
        """Whether the end of the input here would cut an element in two. A Segment is never
        cut: it holds whole elements."""
        top = self._masters[-1]
        return bool(self._partial or self._leaf) or (top.sized and top.id == Id.CLUSTER)

    @property
    def pending(self) -> Leaf | None:
        """The element whose body goes on in the next piece."""
        return self._leaf

    def feed(self, data: bytes) -> Iterator[Token]:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        origin, length = self.position, len(data)
        index = 0
        leaf: Leaf
        if self._leaf is not None:
            leaf, index = self._leaf, self._fill(self._leaf, data)
            self.position = origin + index
            if self.position < leaf.end:
                return
            yield leaf

        while True:
            position = origin + index
            master = self._masters[-1]
            while position == master.end:
                yield self._close(position, None)
                master = self._masters[-1]
            if index == length:
                break

            header = read_header(data, index, position)
            if header is None:
                break
            id_, size, body_from = header
            while id_ in master.ended_by:
                if master.sized:
                    inside = f"cannot be inside 0x{master.id:X}, which ends at byte {master.end}"
                    raise _damaged(id_, position, inside)
                yield self._close(position, id_)
                master = self._masters[-1]

            kind = master.content.get(id_)
            body_at = origin + body_from
            end = master.end if size is None else body_at + size
            if end > master.end:
                claim = f"claims {size} bytes, but its parent 0x{master.id:X} ends at byte"
                raise _damaged(id_, position, f"{claim} {master.end}")
            if kind is _Kind.MASTER:
                sized = size is not None
                self._masters.append(_Master(id_, sized, end, _CONTENT[id_], _ENDED_BY[id_]))
                yield Opened(id_, position, body_at)
                index = body_from
                continue
            if size is None:
                unknown = "has an unknown size, which only a Segment or a Cluster may have"
                raise _damaged(id_, position, unknown)
            if kind is None and master.id == 0 and id_ not in (Id.VOID, Id.CRC_32):
                raise _damaged(id_, position, "stands outside of a Segment")

            if kind is _Kind.BLOCK:
                head = read_block_head(data, body_from, position, size)
                if head is None:
                    break
                track, timecode, flags, body_from = head
                leaf, keep = Block(position, end, track, timecode, flags), self._payloads
            elif kind is _Kind.VALUE:
                leaf, keep = Value(id_, body_at, end), True
            else:
                leaf, keep = Skipped(id_, end), False
            if keep and size > self._element_bytes_max:
                above = f"has {size} bytes, above element_bytes_max {self._element_bytes_max}"
                raise _damaged(id_, position, above)

            index = end - origin
            if index > length:
                self._leaf = leaf
                if keep:
                    self._held = BytesIO()  # its getvalue() hands the bytes over uncopied
                    self._held.write(memoryview(data)[body_from:])
                self.position = origin + length
                return
            if keep:
                leaf.body = data[body_from:index]
            yield leaf

        self._partial = data[index:]
        self.position = origin + index

    def _close(self, position: int, ended_by: int | None) -> Closed:
        return Closed(self._masters.pop().id, position, ended_by)

    def _fill(self, leaf: Leaf, data: bytes) -> int:
        """Take from data what the leaf still misses; return how many bytes that was."""
        stop = min(leaf.end - self.position, len(data))
        whole = self.position + stop == leaf.end
        if self._held is not None:
            self._held.write(memoryview(data)[:stop])
            if whole:
                leaf.body = self._held.getvalue()
        if whole:
            self._leaf = self._held = None
        return stop


def read_block_head(
    data: Buffer, start: int, position: int, size: int
) -> tuple[int, int, int, int] | None:
    """Read what stands before a block's payload: track, timecode, flags, offset behind it.

    position is the block's own, size that of its body. Returns None while bytes are missing.
    """
    if size and start >= len(data):
        return None
    length = VINT_LENGTH[data[start]] if size else 0
    timecode_at = start + length
    if not length or size < length + 3:
        raise MkvError(f"The block at byte {position} has no room for a head: damaged")
    if timecode_at + 3 > len(data):
        return None
    marked = data[start] if length == 1 else int.from_bytes(data[start:timecode_at], "big")
    track = marked ^ (1 << 7 * length)
    timecode, flags = _TIMECODE_AND_FLAGS.unpack_from(data, timecode_at)
    return track, timecode, flags, timecode_at + 3


def _damaged(id_: int, position: int, how: str) -> MkvError:
    """The remedy is the same wherever the structure breaks: there is no way to go on."""
    return MkvError(
        f"Element 0x{id_:X} at byte {position} {how}: the stream is damaged or is no Matroska; "
        "start it anew"
    )
