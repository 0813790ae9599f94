"""Blocks that hold several packets."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import MkvError
from streamproc.mkv.ebml import size_bytes
from streamproc.mkv.matroska import unlace
from streamproc.mkv.reader import Block

XIPH, FIXED, EBML = 0x02, 0x04, 0x06
packets_of = st.lists(st.binary(max_size=600), min_size=1, max_size=8)


def laced(lacing: int, body: bytes) -> Block:
    return Block(position=9, end=99, track=1, timecode=0, flags=0x80 | lacing, body=body)


def xiph(packets: list[bytes]) -> bytes:
    sizes = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets[:-1])
    return bytes([len(packets) - 1]) + sizes + b"".join(packets)


def ebml(packets: list[bytes]) -> bytes:
    sizes = [len(packet) for packet in packets[:-1]]
    encoded = b"".join(size_bytes(size) for size in sizes[:1])
    for before, size in pairwise(sizes):
        encoded += size_bytes(size - before + (1 << 13) - 1, 2)  # a signed difference, biased
    return bytes([len(packets) - 1]) + encoded + b"".join(packets)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(packets=packets_of)
def test_xiph_lacing(packets: list[bytes]) -> None:
    assert unlace(laced(XIPH, xiph(packets))) == packets


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(packets=packets_of)
def test_ebml_lacing(packets: list[bytes]) -> None:
    assert unlace(laced(EBML, ebml(packets))) == packets


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(packet=st.binary(min_size=1, max_size=60), count=st.integers(1, 256))
def test_fixed_size_lacing(packet: bytes, count: int) -> None:
    assert unlace(laced(FIXED, bytes([count - 1]) + packet * count)) == [packet] * count


def test_no_lacing_is_one_packet() -> None:
    assert unlace(laced(0, b"all of it")) == [b"all of it"]


@pytest.mark.parametrize(
    ("lacing", "body", "message"),
    [
        (XIPH, b"", "is empty"),
        (XIPH, b"\x01", "is cut"),
        (XIPH, b"\x01\xff", "is cut"),
        (XIPH, b"\x01\x05abc", "laced beyond its end"),
        (FIXED, b"\x01abc", "3 bytes among 2 packets"),
        (EBML, b"\x01", "No variable-length integer"),
        (EBML, b"\x02\x81\x80ab", "laced beyond its end"),
    ],
)
def test_broken_lacing_is_refused(lacing: int, body: bytes, message: str) -> None:
    with pytest.raises(MkvError, match=message) as caught:
        unlace(laced(lacing, body))
    assert "byte 9" in str(caught.value)
