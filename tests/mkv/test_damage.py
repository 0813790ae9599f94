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
