"""What ProducerSplitter promises the archive, for every kind of producer."""

from collections.abc import Iterable

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.mkv.ebml import Id, element, id_bytes, size_bytes, uint_bytes
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.splitter import (
    BlockSeen,
    ClusterClosed,
    ClusterData,
    ClusterOpened,
    EndOfFragment,
    Header,
    Piece,
    ProducerSplitter,
    Trailing,
)
from streamproc.mkv.writer import SEGMENT_HEADER, MkvWriter
from streamproc.model.media import FragmentEnded, FragmentStarted, MediaEvent, Packet
from tests.mkv.documents import (
    AUDIO,
    BLOCKS,
    END_OF_FRAGMENT,
    VIDEO,
    bytewise,
    chunked,
    closing_tags,
    collect,
    cut_at,
    header,
    number_of,
    open_cluster,
    opening_tags,
    sdk_body,
    sdk_tag,
    sized_cluster,
)


class WriteOnly:
    """All that a socket can do: FFmpeg then writes what it would send to a network."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def muxed_by_ffmpeg(timecode_ms: int = 1_700_000_000_000) -> bytes:
    """Three fragments of five pictures, one Cluster of known size per key frame."""
    sink = WriteOnly()
    with av.open(sink, "w", format="matroska", options={"dash": "1"}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = 64, 48
        stream.options = {"g": "5", "sc_threshold": "0", "bf": "0", "preset": "ultrafast"}
        for index in range(15):
            picture = np.full((48, 64, 3), index * 16, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = timecode_ms // 100 + index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return bytes(sink.data)


def split(*pieces: bytes) -> list[Piece]:
    found, error = collect(ProducerSplitter(), pieces)
    assert not error
    return found


def joined(pieces: Iterable[Piece]) -> list[object]:
    """The pieces with the bytes of each Cluster in one, in front of what is said of them."""
    result: list[object] = []
    data, seen = b"", list[Piece]()
    for piece in pieces:
        if isinstance(piece, ClusterData):
            data += piece.data
        elif isinstance(piece, BlockSeen):
            seen.append(piece)
        else:
            if isinstance(piece, ClusterClosed):
                result += [data, *seen]
                data, seen = b"", []
            result.append(piece)
    return result


def verbatim(pieces: Iterable[Piece]) -> bytes:
    return b"".join(p.data for p in pieces if isinstance(p, Header | ClusterData | Trailing))


def packets(events: Iterable[MediaEvent]) -> list[Packet]:
    return [event for event in events if isinstance(event, Packet)]


BODIES = {
    "sdk": sdk_body(),
    "ours": header(VIDEO, AUDIO) + open_cluster(0) + open_cluster(2000),
    "sized": header() + sized_cluster(0) + element(Id.VOID, b"0") + sized_cluster(2000),
    "ffmpeg": muxed_by_ffmpeg(),
}


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest) -> bytes:
    return BODIES[request.param]


def test_a_request_of_the_producer_sdk() -> None:
    pieces = joined(split(sdk_body()))
    opening, *rest = pieces
    assert isinstance(opening, Header)
    assert opening.data == header() + sdk_tag("zone", "7")
    assert (opening.timecode_scale_ns, opening.tracks) == (1_000_000, (VIDEO,))
    seen = [BlockSeen(1, 0, True), BlockSeen(1, 33, False), BlockSeen(1, -4, False)]
    cluster = id_bytes(Id.CLUSTER) + b"\xff"
    assert rest == [
        ClusterOpened(0),
        cluster + open_cluster(0)[12:],
        *seen,
        ClusterClosed(),
        Trailing(sdk_tag("zone", "8"), (("zone", "8"),)),
        ClusterOpened(2000),
        cluster + open_cluster(2000)[12:],
        *seen,
        ClusterClosed(),
        Trailing(sdk_tag(END_OF_FRAGMENT, ""), ((END_OF_FRAGMENT, ""),)),
        EndOfFragment(),
    ]


def test_the_end_of_fragment_tag_is_told_with_its_last_byte() -> None:
    splitter = ProducerSplitter()
    splitter.feed(sdk_body()[:-1])
    assert splitter.feed(sdk_body()[-1:])[-1] == EndOfFragment()
    assert splitter.close() == []


def test_a_cluster_opens_at_its_timecode_and_its_bytes_leave_as_they_come() -> None:
    splitter = ProducerSplitter()
    cluster = MkvWriter().cluster(40)
    assert splitter.feed(header() + cluster[:-1]) == [Header(header(), 1_000_000, (VIDEO,))]
    assert splitter.feed(cluster[-1:]) == [ClusterOpened(40), ClusterData(cluster)]
    block = MkvWriter().block(*BLOCKS[0])
    assert splitter.feed(block[:20]) == [ClusterData(block[:20])]
    assert splitter.feed(block[20:]) == [ClusterData(block[20:]), BlockSeen(1, 0, True)]
    assert splitter.close() == [ClusterClosed()]


def test_a_sized_cluster_closes_with_its_last_byte() -> None:
    splitter = ProducerSplitter()
    assert splitter.feed(header() + sized_cluster())[-1] == ClusterClosed()


def test_every_byte_but_the_segments_header_is_verbatim(body: bytes) -> None:
    at = body.index(id_bytes(Id.SEGMENT))
    size_length = 1 if body[at + 4] == 0xFF else 8
    expected = body[:at] + SEGMENT_HEADER + body[at + 4 + size_length :]
    assert verbatim(split(body)) == expected


def test_any_split_gives_the_same_pieces(body: bytes) -> None:
    whole = joined(split(body))
    assert joined(split(*bytewise(body))) == whole
    assert joined(split(*chunked(body, 1000))) == whole


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, len(sdk_body()))))
def test_random_cuts_give_the_same_pieces(cuts: list[int]) -> None:
    assert joined(split(*cut_at(sdk_body(), cuts))) == joined(split(sdk_body()))


def test_each_fragment_makes_a_document_with_the_original_blocks(body: bytes) -> None:
    documents: list[bytes] = []
    opening = b""
    for piece in split(body):
        match piece:
            case Header():
                opening = piece.data
            case ClusterOpened():
                documents.append(opening + opening_tags(len(documents)))
            case ClusterData() | Trailing():
                documents[-1] += piece.data
    stream = b"".join(data + closing_tags(i) for i, data in enumerate(documents))
    events, error = collect(FragmentParser(), chunked(stream, 777))
    original, _ = collect(FragmentParser(), [body])
    assert not error
    assert packets(events) == packets(original)
    ended = [event for event in events if isinstance(event, FragmentEnded)]
    assert [(end.number, end.complete) for end in ended] == [
        (number_of(i), True) for i in range(len(documents))
    ]
    timecodes = [e.fragment.timecode_ns for e in events if isinstance(e, FragmentStarted)]
    assert timecodes == [e.fragment.timecode_ns for e in original if isinstance(e, FragmentStarted)]


def test_what_ffmpeg_muxes_has_a_fragment_per_key_frame() -> None:
    pieces = split(BODIES["ffmpeg"])
    opened = [piece.timecode for piece in pieces if isinstance(piece, ClusterOpened)]
    assert opened == [1_700_000_000_000 + 500 * i for i in range(3)]
    seen = [piece for piece in pieces if isinstance(piece, BlockSeen)]
    assert [block.keyframe for block in seen] == ([True] + [False] * 4) * 3
    assert [block.timecode for block in seen[:5]] == [0, 100, 200, 300, 400]
    assert isinstance(pieces[0], Header)
    (track,) = pieces[0].tracks
    assert (track.codec_id, track.width, track.height) == ("V_MPEG4/ISO/AVC", 64, 48)


def test_a_sized_segment_is_rewritten_to_an_unknown_size() -> None:
    at = header().index(SEGMENT_HEADER)
    content = header()[at + 12 :] + sized_cluster()
    pieces = split(header()[:at] + element(Id.SEGMENT, content))
    assert pieces[0] == Header(header(), 1_000_000, (VIDEO,))
    assert verbatim(pieces) == header() + sized_cluster()


def test_a_block_of_a_group_is_seen() -> None:
    block = element(Id.BLOCK, b"\x81\x00\x07\x00", b"data")
    group = element(Id.BLOCK_GROUP, block, element(Id.REFERENCE_BLOCK, b"\xff"))
    pieces = split(header() + MkvWriter().cluster(0) + group)
    assert BlockSeen(1, 7, False) in pieces


@pytest.mark.parametrize("body", [b"", header()], ids=["nothing", "only a header"])
def test_a_request_without_media_has_no_pieces(body: bytes) -> None:
    assert split(body) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (sdk_body() + sdk_body(), "A second Segment begins at byte"),
        (sdk_body() + SEGMENT_HEADER, "A second Segment begins at byte"),
        (header() + open_cluster() + header(AUDIO)[59:], "Tracks change at byte"),
        (
            header() + open_cluster() + element(Id.INFO, element(Id.TIMECODE_SCALE, b"\1")),
            "TimecodeScale changes from 1000000 to 1 at byte",
        ),
        (SEGMENT_HEADER, "No EBML header before the Segment at byte 0"),
        (
            element(Id.EBML) + SEGMENT_HEADER + open_cluster(),
            "The Cluster at byte 17 comes before any track is declared",
        ),
        (header() + element(Id.CLUSTER), "has no Timecode"),
        (header() + element(Id.CLUSTER, b"\xe7\x80\xe7\x80"), "A second Timecode in one Cluster"),
        (header() + element(Id.CLUSTER, b"\xa3\x84\x81\0\0\0"), "precedes its Cluster's Timecode"),
        (header()[:-1], "ends in the middle of an element"),
        (header() + open_cluster()[:-1], "ends in the middle of a fragment"),
        (header() + open_cluster()[:12], "ends in the middle of a fragment"),
        (header() + sized_cluster()[:-1], "ends in the middle of a fragment"),
        (header() + sized_cluster()[:-9], "ends in the middle of a fragment"),
        (sdk_body()[:-1], "ends in the middle of an element"),
    ],
)
def test_what_cannot_be_archived_is_refused_in_words(body: bytes, message: str) -> None:
    _, whole = collect(ProducerSplitter(), [body])
    _, piecewise = collect(ProducerSplitter(), bytewise(body))
    assert message in whole
    assert whole == piecewise


def test_the_same_tracks_again_are_passed_on() -> None:
    again = header()[header().index(id_bytes(Id.TRACKS)) :]
    pieces = split(header() + open_cluster() + again + open_cluster(2000))
    assert Trailing(again, ()) in pieces


def test_a_header_that_never_ends_is_refused() -> None:
    void = element(Id.VOID, bytes(600))
    for pieces in ([header() + void + void + open_cluster()], bytewise(header() + void + void)):
        found, error = collect(ProducerSplitter(element_bytes_max=1000), pieces)
        assert found == []
        assert "From byte 0 on, more than element_bytes_max 1000 bytes belong to no Clu" in error


def test_an_element_too_large_to_hold_is_refused_but_a_block_is_never_held() -> None:
    small = {"element_bytes_max": 1000}
    block = MkvWriter().block(1, 0, True, bytes(5000))
    pieces, error = collect(ProducerSplitter(**small), [header() + open_cluster() + block])
    assert not error
    assert sum(isinstance(piece, BlockSeen) for piece in pieces) == 4
    tags = header() + open_cluster() + id_bytes(Id.TAGS) + size_bytes(1001)
    _, error = collect(ProducerSplitter(**small), [tags])
    assert "has 1001 bytes, above element_bytes_max 1000" in error


def test_a_time_scale_is_handed_on() -> None:
    info = element(Id.INFO, element(Id.TIMECODE_SCALE, uint_bytes(100_000)))
    opening, *_ = split(header() + info + open_cluster())
    assert isinstance(opening, Header)
    assert opening.timecode_scale_ns == 100_000
    assert opening.data == header() + info
