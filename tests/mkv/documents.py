"""Small Matroska streams as the service and as producers write them, and ways to feed them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from streamproc.errors import MkvError
from streamproc.mkv.ebml import Id, element, id_bytes, uint_bytes
from streamproc.mkv.incremental import Incremental
from streamproc.mkv.reader import Block, ElementReader, Skipped, Value
from streamproc.mkv.writer import MkvWriter, aws_tags
from streamproc.model.media import Track, TrackKind

T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]

VIDEO = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"\x01\x4d\x40\x1e\x03\x01", 640, 360, "cam")
AUDIO = Track(2, TrackKind.AUDIO, "A_AAC", b"\x12\x10")
BLOCKS = ((1, 0, True, b"key" * 9), (1, 33, False, b"delta"), (1, -4, False, b""))
END_OF_FRAGMENT = "AWS_KINESISVIDEO_END_OF_FRAGMENT"


def number_of(index: int) -> str:
    return str((1 << 156) + (index << 92))


def opening_tags(index: int) -> bytes:
    """Tags A of the document's only fragment."""
    return aws_tags(
        (
            ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", number_of(index)),
            ("AWS_KINESISVIDEO_SERVER_TIMESTAMP", f"151185210{index}.126"),
            ("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", f"{2 * index}.500"),
        )
    )


def closing_tags(index: int) -> bytes:
    """Tags B."""
    return aws_tags(
        (
            ("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", "15858"),
            ("AWS_KINESISVIDEO_CONTINUATION_TOKEN", number_of(index)),
        )
    )


def open_cluster(timecode: int = 0) -> bytes:
    """A Cluster of unknown size with three blocks."""
    writer = MkvWriter()
    return writer.cluster(timecode) + b"".join(writer.block(*block) for block in BLOCKS)


def sized_cluster(timecode: int = 0) -> bytes:
    """The same Cluster as FFmpeg writes it: its size known, a CRC-32 and a Void in it."""
    blocks = (MkvWriter().block(*block) for block in BLOCKS)
    return element(
        Id.CLUSTER,
        element(Id.CRC_32, b"\1\2\3\4"),
        element(Id.TIMECODE, uint_bytes(timecode)),
        element(Id.VOID, bytes(30)),
        *blocks,
        size_length=8,
    )


def header(*tracks: Track) -> bytes:
    return MkvWriter().header(tracks or (VIDEO,))


def get_media_document(
    index: int, cluster: bytes, *, before: Pairs = (), after: Pairs = ()
) -> bytes:
    """One document of a GetMedia body, with the producer's own tags around its Cluster."""
    own_before = aws_tags(before) if before else b""
    own_after = aws_tags(after) if after else b""
    opening = header() + own_before + opening_tags(index)
    return opening + cluster + own_after + closing_tags(index)


def get_media_body() -> bytes:
    """Two fragments, one of unknown and one of known size, with every kind of tag."""
    first = get_media_document(
        1, open_cluster(2000), before=[("door", "front")], after=[("seen", "cat")]
    )
    return first + get_media_document(2, sized_cluster(4000))


def sdk_body() -> bytes:
    """What the C producer SDK sends: Segment and Clusters of unknown size in one byte, each
    user tag in its own Tags element with 8-byte sizes, and the end-of-fragment tag at stop."""
    opening = header().replace(b"\x18\x53\x80\x67\x01" + b"\xff" * 7, b"\x18\x53\x80\x67\xff")
    clusters = [
        id_bytes(Id.CLUSTER) + b"\xff" + open_cluster(timecode)[12:] for timecode in (0, 2000)
    ]
    tags = [sdk_tag("zone", "7"), sdk_tag("zone", "8"), sdk_tag(END_OF_FRAGMENT, "")]
    return opening + tags[0] + clusters[0] + tags[1] + clusters[1] + tags[2]


def sdk_tag(name: str, value: str) -> bytes:
    parts = (
        element(Id.TAG_NAME, name.encode(), size_length=8),
        element(Id.TAG_STRING, value.encode(), size_length=8),
    )
    simple = element(Id.SIMPLE_TAG, *parts, size_length=8)
    return element(Id.TAGS, element(Id.TAG, simple, size_length=8), size_length=8)


def collect(parser: Incremental[T], pieces: Iterable[bytes]) -> tuple[list[T], str]:
    """Everything the parser tells about these pieces and their end, and its error or ""."""
    events: list[T] = []
    try:
        for piece in pieces:
            events += parser.feed(piece)
        events += parser.close()
    except MkvError as error:
        return events, str(error)
    return events, ""


def bytewise(data: bytes) -> Iterator[bytes]:
    return (data[i : i + 1] for i in range(len(data)))


def chunked(data: bytes, size: int = 65_536) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def cut_at(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for stop in (*sorted(set(cuts)), len(data)):
        yield data[start:stop]
        start = stop


def structure_bytewise(data: bytes) -> Iterator[bytes]:
    """Byte by byte around every element's edge, the inside of payloads in one piece: what a
    parser can get wrong about a cut, without the hours."""
    edges = [
        token.end
        for token in ElementReader(payloads=True).feed(data)
        if isinstance(token, Value | Block | Skipped)
    ]
    cuts = {cut for edge in (0, *edges) for cut in range(edge - 4, edge + 26)}
    return cut_at(data, (cut for cut in cuts if 0 < cut < len(data)))
