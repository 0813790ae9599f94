"""What Matroska's elements say: document type, time scale, tracks, tags, blocks.

Pure functions over whole elements. Knows nothing of streams, fragments or AWS.
"""

from typing import Final

from streamproc.errors import MkvError
from streamproc.mkv.ebml import Buffer, Id, children, read_string, read_uint, read_vint, shown
from streamproc.mkv.reader import ELEMENT_DEPTH_MAX, Block, Value, read_block_head
from streamproc.model.media import Track, TrackKind

TIMECODE_SCALE_NS_DEFAULT: Final = 1_000_000  # RFC 9559, 5.1.2.9

_SIMPLE_TAG_DEPTH: Final = 4  # Segment, Tags, Tag, SimpleTag
_TRACK_KINDS: Final = {1: TrackKind.VIDEO, 2: TrackKind.AUDIO}
_XIPH, _FIXED = 2, 4


def check_document(ebml: Value) -> None:
    """Raise MkvError unless an EBML header opens a document that we can read.

    Smaller maximal lengths than ours are not held against the elements: the service writes
    8-byte sizes whatever the producer's header said.
    """
    for id_, body, at in children(ebml.body, ebml.body_at):
        if id_ == Id.DOC_TYPE and read_string(body) not in ("matroska", "webm"):
            said = shown(read_string(body))
            raise MkvError(f"DocType is {said} at byte {at}; send matroska or webm")
        if id_ == Id.EBML_MAX_ID_LENGTH and read_uint(body, at) > 4:
            raise MkvError(f"EBMLMaxIDLength is {read_uint(body, at)} at byte {at}; 4 is the most")
        if id_ == Id.EBML_MAX_SIZE_LENGTH and read_uint(body, at) > 8:
            raise MkvError(
                f"EBMLMaxSizeLength is {read_uint(body, at)} at byte {at}; 8 is the most"
            )


def read_timecode_scale(info: Value) -> int:
    """Nanoseconds per unit of a timecode."""
    for id_, body, at in children(info.body, info.body_at):
        if id_ == Id.TIMECODE_SCALE and body:
            if scale := read_uint(body, at):
                return scale
            raise MkvError(f"TimecodeScale is 0 at byte {at}; 1000000 means milliseconds")
    return TIMECODE_SCALE_NS_DEFAULT


def read_tracks(tracks: Value) -> tuple[Track, ...]:
    """Every TrackEntry, in order. Raises MkvError for one without a number."""
    return tuple(
        _read_track(body, at)
        for id_, body, at in children(memoryview(tracks.body), tracks.body_at)
        if id_ == Id.TRACK_ENTRY
    )


def _read_track(entry: Buffer, position: int) -> Track:
    number = type_ = width = height = 0
    codec_id = name = ""
    codec_private = b""
    for id_, body, at in children(entry, position):
        match id_:
            case Id.TRACK_NUMBER:
                number = read_uint(body, at)
            case Id.TRACK_TYPE:
                type_ = read_uint(body, at)
            case Id.CODEC_ID:
                codec_id = read_string(body)
            case Id.CODEC_PRIVATE:
                codec_private = bytes(body)
            case Id.NAME:
                name = read_string(body)
            case Id.VIDEO:
                for video_id, video_body, video_at in children(body, at):
                    if video_id == Id.PIXEL_WIDTH:
                        width = read_uint(video_body, video_at)
                    elif video_id == Id.PIXEL_HEIGHT:
                        height = read_uint(video_body, video_at)
    if not number:
        raise MkvError(f"The TrackEntry at byte {position} has no TrackNumber")
    kind = _TRACK_KINDS.get(type_, TrackKind.OTHER)
    return Track(number, kind, codec_id, codec_private, width, height, name)


def read_tags(
    tags: Value, *, element_depth_max: int = ELEMENT_DEPTH_MAX
) -> tuple[tuple[str, str], ...]:
    """(name, value) of every SimpleTag, in order; "" for a value that is no string.

    What a tag is about (Targets) and tags inside tags are passed over: Kinesis Video has
    neither. Raises MkvError where they are inside each other beyond element_depth_max: of what
    Kinesis Video carries, tags alone may nest without end (RFC 9559, 5.1.8.1.2).
    """
    pairs = []
    for tag_id, tag, tag_at in children(memoryview(tags.body), tags.body_at):
        if tag_id != Id.TAG:
            continue
        for simple_id, simple, simple_at in children(tag, tag_at):
            if simple_id != Id.SIMPLE_TAG:
                continue
            name = value = ""
            for id_, body, at in children(simple, simple_at):
                if id_ == Id.TAG_NAME:
                    name = read_string(body)
                elif id_ == Id.TAG_STRING:
                    value = read_string(body)
                elif id_ == Id.SIMPLE_TAG:
                    _check_nesting(body, at, _SIMPLE_TAG_DEPTH + 1, element_depth_max)
            pairs.append((name, value))
    return tuple(pairs)


def _check_nesting(simple_tag: Buffer, position: int, depth: int, element_depth_max: int) -> None:
    if depth > element_depth_max:
        raise MkvError(
            f"The SimpleTag at byte {position} is {depth} elements deep; element_depth_max "
            f"{element_depth_max} is the most"
        )
    for id_, body, at in children(simple_tag, position):
        if id_ == Id.SIMPLE_TAG:
            _check_nesting(body, at, depth + 1, element_depth_max)


def read_block_group(group: Value) -> Block | None:
    """The Block of a BlockGroup, a key frame if it refers to no other; None without one."""
    block = None
    referring = False
    for id_, body, at in children(memoryview(group.body), group.body_at):
        if id_ == Id.REFERENCE_BLOCK:
            referring = True
        elif id_ == Id.BLOCK:
            head = read_block_head(body, 0, at, len(body))
            assert head is not None  # only an incomplete body has none
            track, timecode, flags, start = head
            block = Block(at, group.end, track, timecode, flags & 0x7F, bytes(body[start:]))
    if block is not None and not referring:
        block.flags |= 0x80
    return block


def unlace(block: Block) -> list[bytes]:
    """The packets that a block holds: one, or several if it is laced (RFC 9559, 10.3)."""
    body = block.body
    if not block.lacing:
        return [body]
    if not body:
        raise MkvError(f"The laced block at byte {block.position} is empty: damaged")
    count, start = body[0] + 1, 1
    if block.lacing == _FIXED:
        size, rest = divmod(len(body) - start, count)
        # A block of seven bytes could otherwise stand for 256 packets, all of them empty.
        if rest or (not size and count > 1):
            raise MkvError(
                f"The block at byte {block.position} cannot share {len(body) - start} bytes "
                f"among {count} packets of equal size: damaged"
            )
        sizes = [size] * count
    else:
        read_sizes = _xiph_sizes if block.lacing == _XIPH else _ebml_sizes
        sizes, start = read_sizes(body, count - 1, block.position)
        sizes.append(len(body) - start - sum(sizes))
    if min(sizes) < 0:
        raise MkvError(f"The block at byte {block.position} is laced beyond its end: damaged")
    packets = []
    for size in sizes:
        packets.append(body[start : start + size])
        start += size
    return packets


def _xiph_sizes(body: bytes, count: int, position: int) -> tuple[list[int], int]:
    sizes, start = [], 1
    for _ in range(count):
        size = 0
        while True:
            if start >= len(body):
                raise MkvError(f"The lacing of the block at byte {position} is cut: damaged")
            size += body[start]
            start += 1
            if body[start - 1] != 255:
                break
        sizes.append(size)
    return sizes, start


def _ebml_sizes(body: bytes, count: int, position: int) -> tuple[list[int], int]:
    """The first size as it is, each following one as its difference from the one before."""
    sizes: list[int] = []
    start = 1
    for _ in range(count):
        value, after = read_vint(body, start, position)
        if sizes:
            bias = (1 << 7 * (after - start) - 1) - 1
            value += sizes[-1] - bias
        sizes.append(value)
        start = after
    return sizes, start
