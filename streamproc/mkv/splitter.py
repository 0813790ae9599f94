"""Cut a PutMedia body into verbatim pieces, for an archive that keeps the producer's bytes.

Sans-I/O: bytes enter through feed(), pieces come out. Knows where fragments begin and end in
what producers send (one Segment per request, each Cluster a fragment); knows nothing of
limits, acknowledgements or files.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from streamproc.errors import MkvError
from streamproc.mkv.ebml import Id, read_uint
from streamproc.mkv.incremental import Incremental
from streamproc.mkv.matroska import (
    TIMECODE_SCALE_NS_DEFAULT,
    check_document,
    read_block_group,
    read_tags,
    read_timecode_scale,
    read_tracks,
)
from streamproc.mkv.reader import (
    ELEMENT_DEPTH_MAX,
    Block,
    Closed,
    ElementReader,
    Opened,
    Skipped,
    Token,
    Value,
)
from streamproc.mkv.writer import SEGMENT_HEADER
from streamproc.model.media import Track

HELD_BYTES_MAX: Final = 8 * 1024 * 1024
"""No block is held, so a header with three tracks of 1 MiB CodecPrivate each, the most that the
producer SDK sends, is what must fit."""

END_OF_FRAGMENT_TAG: Final = "AWS_KINESISVIDEO_END_OF_FRAGMENT"


@dataclass(frozen=True, slots=True)
class Header:
    """Everything before the first Cluster, verbatim but for the Segment's header, which is
    rewritten to 12 bytes of unknown size: it can stand before any of the Clusters."""

    data: bytes = field(repr=False)
    timecode_scale_ns: int
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class ClusterOpened:
    """A Cluster's timecode is known, in units of the header's scale."""

    timecode: int


@dataclass(frozen=True, slots=True)
class ClusterData:
    """The next bytes of the open Cluster, verbatim, its own header included."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BlockSeen:
    """A block of the open Cluster is whole; its bytes were in the pieces before."""

    track: int
    timecode: int  # relative to the Cluster's, in units of the header's scale
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Trailing:
    """A level-1 element behind a Cluster (Tags, Cues), verbatim, and the tags in it."""

    data: bytes = field(repr=False)
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EndOfFragment:
    """The producer says with a tag that its last fragment is whole and waits for the ack."""


@dataclass(frozen=True, slots=True)
class ClusterClosed:
    """The open Cluster is whole."""


Piece: TypeAlias = (
    Header | ClusterOpened | ClusterData | BlockSeen | Trailing | EndOfFragment | ClusterClosed
)


class ProducerSplitter(Incremental[Piece]):
    """Turns a PutMedia body into Pieces.

    The Header comes with the first Cluster. Header.data, the ClusterData of one Cluster and the
    Trailing behind it make a document again, one per fragment. ClusterData and then the
    BlockSeen of the blocks that ended in it come once per feed(). Trailing.tags has all tags of
    its element, AWS_KINESISVIDEO ones of the producer's SDK too.

    feed() raises MkvError at broken structure, at a second Segment, at Tracks or a time scale
    that change, at tags inside tags beyond element_depth_max, and where more than
    element_bytes_max bytes would have to be held (a header, a level-1 element, a BlockGroup;
    never a SimpleBlock). close() raises it if the body ends in
    the middle of an element or before the stated end of its Cluster; a Cluster of unknown size
    ends with the body.
    """

    def __init__(
        self,
        *,
        element_bytes_max: int = HELD_BYTES_MAX,
        element_depth_max: int = ELEMENT_DEPTH_MAX,
    ) -> None:
        super().__init__(ElementReader(payloads=False, element_bytes_max=element_bytes_max))
        self._element_depth_max = element_depth_max
        self._held_bytes_max = element_bytes_max
        self._cut_at = 0  # position of the first byte that is in no Piece yet
        self._held = bytearray()  # what earlier calls brought from there on
        self._chunk = b""  # what this call brought ...
        self._chunk_from = 0  # ... from this offset on
        self._document_seen = False
        self._segment: Opened | None = None
        self._header: Header | None = None
        self._scale_ns = TIMECODE_SCALE_NS_DEFAULT
        self._tracks: Value | None = None
        self._in_cluster = False
        self._passing = False  # the open Cluster's timecode is known: its bytes may leave
        self._seen: list[BlockSeen] = []  # blocks whose bytes have not left yet

    def _take(self, data: bytes, events: list[Piece]) -> None:
        self._chunk, self._chunk_from = data, 0
        for token in self._reader.feed(data):
            if isinstance(token, Block):
                self._on_block(token)
            else:
                self._on_structure(token, events)
        if self._passing:
            self._flush(self._reader.position, events)
        self._held += memoryview(data)[self._chunk_from :]
        self._check_held(self._cut_at + len(self._held))

    def _end(self, events: list[Piece]) -> None:
        if self._reader.cut or (self._in_cluster and not self._passing):
            what = "a fragment" if self._in_cluster else "an element"
            raise MkvError(
                f"The body ends in the middle of {what}, after byte {self._cut_at}: send it whole"
            )
        if self._in_cluster:
            self._close_cluster(self._reader.position, events)

    def _on_structure(self, token: Token, events: list[Piece]) -> None:
        match token:
            case Value(id=Id.EBML):
                self._on_document(token)
            case Opened(id=Id.SEGMENT):
                self._on_segment(token)
            case Value(id=Id.INFO):
                self._on_info(token)
            case Value(id=Id.TRACKS):
                self._on_tracks(token)
            case Opened(id=Id.CLUSTER):
                self._on_cluster(token, events)
            case Closed(id=Id.CLUSTER):
                self._close_cluster(token.position, events)
            case Value(id=Id.TIMECODE):
                self._on_timecode(token, events)
            case Value(id=Id.BLOCK_GROUP):
                if block := read_block_group(token):
                    self._on_block(block)
        if self._header and not self._in_cluster and isinstance(token, Value | Skipped):
            self._on_trailing(token, events)

    def _on_document(self, ebml: Value) -> None:
        if self._document_seen:
            raise _second_segment(ebml.body_at)
        check_document(ebml)
        self._document_seen = True

    def _on_segment(self, segment: Opened) -> None:
        if self._segment is not None:
            raise _second_segment(segment.position)
        if not self._document_seen:
            raise MkvError(f"No EBML header before the Segment at byte {segment.position}")
        self._segment = segment

    def _on_info(self, info: Value) -> None:
        scale_ns = read_timecode_scale(info)
        if self._header is not None and scale_ns != self._scale_ns:
            raise MkvError(
                f"TimecodeScale changes from {self._scale_ns} to {scale_ns} at byte "
                f"{info.body_at}: start a new request"
            )
        self._scale_ns = scale_ns

    def _on_tracks(self, tracks: Value) -> None:
        if self._tracks is not None and tracks.body != self._tracks.body:
            raise MkvError(f"Tracks change at byte {tracks.body_at}: start a new request")
        self._tracks = tracks

    def _on_cluster(self, cluster: Opened, events: list[Piece]) -> None:
        if self._header is None:
            tracks = read_tracks(self._tracks) if self._tracks else ()
            if not tracks or self._segment is None:
                raise MkvError(
                    f"The Cluster at byte {cluster.position} comes before any track is declared: "
                    "send Tracks first"
                )
            data = self._cut(cluster.position)
            document, content = data[: self._segment.position], data[self._segment.body_at :]
            self._header = Header(document + SEGMENT_HEADER + content, self._scale_ns, tracks)
            events.append(self._header)
        self._in_cluster = True

    def _on_timecode(self, timecode: Value, events: list[Piece]) -> None:
        if self._passing:
            raise MkvError(f"A second Timecode in one Cluster at byte {timecode.body_at}: damaged")
        self._check_held(timecode.end)
        self._passing = True
        events.append(ClusterOpened(read_uint(timecode.body, timecode.body_at)))

    def _on_block(self, block: Block) -> None:
        if not self._passing:
            raise MkvError(f"The block at byte {block.position} precedes its Cluster's Timecode")
        self._seen.append(BlockSeen(block.track, block.timecode, block.keyframe))

    def _close_cluster(self, position: int, events: list[Piece]) -> None:
        if not self._passing:
            raise MkvError(f"The Cluster that ends at byte {position} has no Timecode")
        self._flush(position, events)
        self._in_cluster = self._passing = False
        events.append(ClusterClosed())

    def _on_trailing(self, token: Value | Skipped, events: list[Piece]) -> None:
        tags: tuple[tuple[str, str], ...] = ()
        if isinstance(token, Value) and token.id == Id.TAGS:
            tags = read_tags(token, element_depth_max=self._element_depth_max)
        events.append(Trailing(self._cut(token.end), tags))
        if any(name == END_OF_FRAGMENT_TAG for name, _ in tags):
            events.append(EndOfFragment())

    def _flush(self, end: int, events: list[Piece]) -> None:
        if end > self._cut_at:
            events.append(ClusterData(self._take_bytes(end)))
        events += self._seen
        self._seen.clear()

    def _cut(self, end: int) -> bytes:
        self._check_held(end)
        return self._take_bytes(end)

    def _take_bytes(self, end: int) -> bytes:
        """The bytes up to a position, of which none is in a Piece yet."""
        from_held = min(end - self._cut_at, len(self._held))
        start, self._chunk_from = (
            self._chunk_from,
            self._chunk_from + end - self._cut_at - from_held,
        )
        self._cut_at = end
        rest = self._chunk[start : self._chunk_from]
        if not from_held:
            return rest
        held = bytes(self._held[:from_held])
        del self._held[:from_held]
        return held + rest

    def _check_held(self, end: int) -> None:
        if end - self._cut_at > self._held_bytes_max:
            raise MkvError(
                f"From byte {self._cut_at} on, more than element_bytes_max "
                f"{self._held_bytes_max} bytes belong to no Cluster: the stream is damaged, or "
                "the limit is too low for it"
            )


def _second_segment(position: int) -> MkvError:
    return MkvError(
        f"A second Segment begins at byte {position}: one request carries one Segment; start a "
        "new request"
    )
