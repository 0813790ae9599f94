"""Whatever the bytes, the answer is events or MkvError, and the same for any split."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.splitter import (
    BlockSeen,
    ClusterClosed,
    ClusterData,
    ClusterOpened,
    Piece,
    ProducerSplitter,
)
from streamproc.model.media import FragmentEnded, FragmentStarted, MediaEvent, Packet
from tests.mkv.documents import bytewise, collect, cut_at, get_media_body, sdk_body

BODY = get_media_body()
PUT_BODY = sdk_body()


def check_order(events: list[MediaEvent]) -> None:
    """Every fragment starts, has its packets and ends before the next one starts."""
    inside = False
    for event in events:
        if isinstance(event, FragmentStarted):
            assert not inside
            inside = True
        elif isinstance(event, FragmentEnded):
            assert inside
            inside = False
        elif isinstance(event, Packet):
            assert inside
    assert not inside


def check_pieces(pieces: list[Piece]) -> None:
    inside = False
    for piece in pieces:
        if isinstance(piece, ClusterOpened):
            assert not inside
            inside = True
        elif isinstance(piece, ClusterClosed):
            assert inside
            inside = False
        elif isinstance(piece, ClusterData | BlockSeen):
            assert inside


@pytest.mark.parametrize("body", [BODY, PUT_BODY], ids=["service", "producer"])
def test_a_stream_may_end_anywhere(body: bytes) -> None:
    complete = 0
    for stop in range(len(body) + 1):
        events, error = collect(FragmentParser(), [body[:stop]])
        assert not error
        check_order(events)
        now = sum(isinstance(event, FragmentEnded) and event.complete for event in events)
        assert now >= complete
        complete = now
    assert complete == 2


def test_a_request_may_end_anywhere_and_only_whole_fragments_count() -> None:
    for stop in range(len(PUT_BODY) + 1):
        pieces, error = collect(ProducerSplitter(), [PUT_BODY[:stop]])
        assert not error or "ends in the middle of" in error
        check_pieces(pieces)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    flips=st.lists(
        st.tuples(st.integers(0, len(BODY) - 1), st.integers(0, 255)), min_size=1, max_size=6
    ),
    cuts=st.lists(st.integers(0, len(BODY)), max_size=5),
)
def test_flipped_bytes_give_events_or_mkverror(
    flips: list[tuple[int, int]], cuts: list[int]
) -> None:
    damaged = bytearray(BODY)
    for place, byte in flips:
        damaged[place] = byte
    body = bytes(damaged)
    whole = collect(FragmentParser(), [body])
    check_order(whole[0])
    assert collect(FragmentParser(), cut_at(body, cuts)) == whole
    assert collect(FragmentParser(), bytewise(body)) == whole


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    flips=st.lists(
        st.tuples(st.integers(0, len(PUT_BODY) - 1), st.integers(0, 255)), min_size=1, max_size=6
    )
)
def test_flipped_bytes_in_a_request_give_pieces_or_mkverror(flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(PUT_BODY)
    for place, byte in flips:
        damaged[place] = byte
    pieces, error = collect(ProducerSplitter(), [bytes(damaged)])
    check_pieces(pieces)
    bytewise_pieces, bytewise_error = collect(ProducerSplitter(), bytewise(bytes(damaged)))
    check_pieces(bytewise_pieces)
    assert bytewise_error == error


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(noise=st.binary(max_size=300), kept=st.integers(0, len(BODY)))
def test_noise_gives_events_or_mkverror(noise: bytes, kept: int) -> None:
    stream = BODY[:kept] + noise
    events, error = collect(FragmentParser(), [stream])
    check_order(events)
    assert collect(FragmentParser(), bytewise(stream)) == (events, error)
    pieces, _ = collect(ProducerSplitter(), [PUT_BODY[:kept] + noise])
    check_pieces(pieces)


def swallowing(claimed: int) -> bytes:
    """A stream whose first SimpleBlock claims to be this many bytes more than it is."""
    block_at = BODY.index(b"\xa3", BODY.index(b"\x1f\x43\xb6\x75"))
    size = (1 << 56) | claimed  # eight bytes hold any length
    return BODY[: block_at + 1] + size.to_bytes(8, "big") + BODY[block_at + 2 :]


@pytest.mark.parametrize("claimed", [40_000, 1_000_000, 40_000_000])
def test_an_element_that_swallows_the_next_document_is_told_at_once(claimed: int) -> None:
    """And not once as much has come as it claims, which may be minutes later."""
    body = swallowing(claimed)
    segment = bytes.fromhex("1853806701ffffffffffffff")
    second = body.index(segment, body.index(segment) + 1)
    whole, error = collect(FragmentParser(), [body[: second + len(segment)]])
    assert "holds the next document's Segment" in error
    assert collect(FragmentParser(), bytewise(body)) == (whole, error)
    assert collect(FragmentParser(), [body]) == (whole, error)
    before, none = collect(FragmentParser(), [body[: second + len(segment) - 1]])
    assert not none
    # What had begun ends incomplete, so that it is read again.
    assert isinstance(whole[-1], FragmentEnded)
    assert not whole[-1].complete
    assert before[: len(whole) - 1] == whole[:-1]
