"""Media made to hurt: what it may cost is bounded, and what it says is told in few words."""

import itertools
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from streamproc.mkv.ebml import Id, element, id_bytes, size_bytes, uint_bytes
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.incremental import Incremental
from streamproc.mkv.splitter import ProducerSplitter
from streamproc.mkv.writer import SEGMENT_HEADER, MkvWriter, aws_tags
from streamproc.model.media import FragmentFailed, FragmentStarted, Packet
from tests.mkv.documents import VIDEO, bytewise, chunked, collect, header, open_cluster

PARSERS = (FragmentParser, ProducerSplitter)
FIXED_LACING = 0x04


def nested_tags(depth: int) -> bytes:
    """Tags, Tag and then SimpleTags in each other; depth counts the Segment as the first."""
    inner = element(Id.TAG_NAME, b"inmost")
    for _ in range(depth - 3):
        inner = element(Id.SIMPLE_TAG, inner)
    return element(Id.TAGS, element(Id.TAG, inner))


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("depth_max", [4, 8, 64])
def test_tags_nest_as_deep_as_is_allowed_and_no_deeper(
    parser: Callable[..., Incremental[Any]], depth_max: int
) -> None:
    opening = header() + open_cluster()
    limit = {"element_depth_max": depth_max}
    assert collect(parser(**limit), [opening + nested_tags(depth_max)])[1] == ""
    for depth in (depth_max + 1, 5000):
        pieces = chunked(opening + nested_tags(depth), 7)
        _, error = collect(parser(**limit), pieces)
        assert f"is {depth_max + 1} elements deep; element_depth_max {depth_max}" in error


def test_the_depth_of_tags_costs_no_copies() -> None:
    tags = nested_tags(64)
    payload = element(Id.TAG_STRING, bytes(1 << 20))
    for _ in range(61):
        payload = element(Id.SIMPLE_TAG, payload)
    parser = FragmentParser(element_depth_max=64)
    body = header() + tags + element(Id.TAGS, element(Id.TAG, payload)) + open_cluster()
    tracemalloc.start()
    assert parser.feed(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_lace_of_nothing_is_refused() -> None:
    block = element(Id.SIMPLE_BLOCK, b"\x81\0\0", bytes([FIXED_LACING, 255]))
    events, error = collect(FragmentParser(), [header() + MkvWriter().cluster(0) + block * 100])
    assert "cannot share 0 bytes among 256 packets" in error
    assert not any(isinstance(event, Packet) for event in events)


def test_no_block_is_more_packets_than_bytes() -> None:
    for lacing, sizes in ((2, b"\x00" * 255), (6, b"\x80" + b"\xbf" * 254)):
        body = b"\x81\0\0" + bytes([lacing, 255]) + sizes
        stream = header() + MkvWriter().cluster(0) + element(Id.SIMPLE_BLOCK, body)
        packets = [event for event in FragmentParser().feed(stream) if isinstance(event, Packet)]
        assert len(packets) == 256 <= len(body)


def test_tags_that_never_come_to_a_cluster_do_not_fill_memory() -> None:
    tags = aws_tags([("name", "x" * 900)])
    pieces = itertools.chain([header()], itertools.repeat(tags))
    _, error = collect(FragmentParser(element_bytes_max=100_000), pieces)
    assert "bytes of tags of one fragment, above element_bytes_max 100000" in error


def test_tags_of_many_fragments_are_not_added_up() -> None:
    parser = FragmentParser(element_bytes_max=100_000)
    tags = aws_tags([("name", "x" * 30_000)])
    parser.feed(header())
    for number in range(50):
        parser.feed(tags + open_cluster(number))


LONG = "A" * 5_000_000


def with_doc_type(text: str) -> bytes:
    return element(Id.EBML, element(Id.DOC_TYPE, text.encode()))


@pytest.mark.parametrize(
    "body",
    [
        with_doc_type(LONG),
        header() + aws_tags([("AWS_KINESISVIDEO_FRAGMENT_NUMBER", LONG)]),
        header() + aws_tags([("AWS_KINESISVIDEO_CONTINUATION_TOKEN", LONG)]),
    ],
    ids=["DocType", "number", "token"],
)
def test_what_the_media_says_does_not_make_a_message_long(body: bytes) -> None:
    _, error = collect(FragmentParser(), [body])
    assert error
    assert len(error) < 500
    assert error.isprintable()


def test_an_error_code_of_megabytes_is_cut() -> None:
    tags = aws_tags([("AWS_KINESISVIDEO_ERROR_CODE", LONG)])
    events, _ = collect(FragmentParser(), [header() + tags])
    assert [len(event.error_code) for event in events if isinstance(event, FragmentFailed)] == [256]


@pytest.mark.parametrize("value", ["999999999999", "-1"])
def test_a_server_timestamp_that_is_no_date_is_refused(value: str) -> None:
    tags = aws_tags([("AWS_KINESISVIDEO_SERVER_TIMESTAMP", value)])
    _, error = collect(FragmentParser(), [header() + tags + open_cluster()])
    assert f"AWS_KINESISVIDEO_SERVER_TIMESTAMP is '{value}'" in error


def test_the_greatest_times_that_matroska_can_write_are_still_numbers() -> None:
    largest = element(Id.TIMECODE_SCALE, b"\xff" * 8)
    cluster = id_bytes(Id.CLUSTER) + b"\xff" + element(Id.TIMECODE, b"\xff" * 8)
    block = MkvWriter().block(1, -32_768, True, b"key")
    tracks = header()[header().index(id_bytes(Id.TRACKS)) :]
    body = SEGMENT_HEADER + element(Id.INFO, largest) + tracks + cluster + block
    events, error = collect(FragmentParser(), [body])
    assert not error
    [started] = [event for event in events if isinstance(event, FragmentStarted)]
    assert 0 < started.fragment.timecode_ns / 1e9 < float("inf")


def calls_of(work: Callable[[], Any]) -> int:
    """How many functions, Python's and C's, the work calls: a clock that no load disturbs."""
    count = 0

    def counted(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def track_entry(number: int) -> bytes:
    return element(
        Id.TRACK_ENTRY,
        element(Id.TRACK_NUMBER, uint_bytes(number)),
        element(Id.TRACK_TYPE, b"\x02"),
        element(Id.CODEC_ID, b"A_AAC"),
    )


SIMPLE_TAG = element(Id.SIMPLE_TAG, element(Id.TAG_NAME, b"a"), element(Id.TAG_STRING, b"b"))
OPENING = header() + MkvWriter().cluster(0)
FLOODS: dict[str, Callable[[int], bytes]] = {
    "Voids": lambda n: header() + element(Id.VOID) * n,
    "unknown elements": lambda n: OPENING + element(0x4DBB, b"x") * n,
    "Tags": lambda n: header() + aws_tags([("a", "b")]) * n + open_cluster(),
    "SimpleTags": lambda n: header() + element(Id.TAGS, element(Id.TAG, SIMPLE_TAG * n)),
    "tracks": lambda n: SEGMENT_HEADER + element(Id.TRACKS, *map(track_entry, range(1, n + 1))),
    "EBML headers": lambda n: element(Id.EBML, element(Id.DOC_TYPE, b"webm")) * n,
    "Segments": lambda n: element(Id.EBML) + SEGMENT_HEADER * n,
    "empty Clusters": lambda n: header() + (id_bytes(Id.CLUSTER) + b"\xff") * n,
    "Clusters": lambda n: header() + b"".join(open_cluster(i) for i in range(n // 4)),
    "blocks": lambda n: OPENING + MkvWriter().block(1, 0, False, b"") * n,
    "blocks of no track": lambda n: OPENING + MkvWriter().block(99, 0, False, b"") * n,
    "laces": lambda n: (
        OPENING + element(Id.SIMPLE_BLOCK, b"\x81\0\0\x02\xff" + bytes(255)) * (n // 16)
    ),
    "groups": lambda n: (
        OPENING
        + element(Id.BLOCK_GROUP, element(Id.BLOCK, b"\x81\0\0\0key"), element(Id.VOID) * 9)
        * (n // 4)
    ),
    "a payload": lambda n: OPENING + MkvWriter().block(1, 0, True, bytes(n * 8)),
    "a large CodecPrivate": lambda n: (
        SEGMENT_HEADER
        + element(Id.TRACKS, element(Id.TRACK_ENTRY, element(Id.CODEC_PRIVATE, bytes(n * 8))))
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("parser", PARSERS)
def test_twice_the_bytes_are_twice_the_work(
    parser: Callable[..., Incremental[Any]], flood: str
) -> None:
    def fed(body: bytes, size: int) -> int:
        return calls_of(lambda: collect(parser(), chunked(body, size)))

    for size in (1, 100, 1 << 16):
        once, twice = (fed(FLOODS[flood](n), size) for n in (160, 320))
        assert twice < 2.3 * once + 300, f"in pieces of {size}"


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_the_same_in_drops(flood: str) -> None:
    body = FLOODS[flood](64)
    assert collect(FragmentParser(), bytewise(body)) == collect(FragmentParser(), [body])


def test_bytes_are_copied_a_bounded_number_of_times() -> None:
    """An element of unknown use is passed over uncopied, one that is held is held once."""
    claim = id_bytes(Id.TAGS) + size_bytes(4 << 20)
    for parser in (FragmentParser(), ProducerSplitter()):
        parser.feed(header() + open_cluster())
        tracemalloc.start()
        parser.feed(claim)
        for _ in range(63):
            parser.feed(bytes(1 << 16))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 13 << 20


def test_a_track_number_may_be_anything() -> None:
    largest = size_bytes((1 << 56) - 2, 8)
    block = element(Id.SIMPLE_BLOCK, largest, b"\0\0\x80", b"key")
    events, error = collect(FragmentParser(), [header(VIDEO) + MkvWriter().cluster(0) + block])
    assert not error
    assert [event.track for event in events if isinstance(event, Packet)] == [(1 << 56) - 2]
