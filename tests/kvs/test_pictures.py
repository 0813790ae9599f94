"""Pictures come out whole, however a demuxer has cut them."""

import pytest

from streamproc.kvs.pictures import BYTES_MAX, Part, whole_pictures
from streamproc.mkv import nal

SPS, PPS, AUD = b"\x67\x64", b"\x68\xef", b"\x09\xf0"
FIRST, REST = b"\x65\x88\x84", b"\x65\x01\xe2"  # slices of an IDR picture
P_FIRST, P_REST = b"\x41\x9a\x01", b"\x41\x02\x9a"
HEVC_SETS = [b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1"]
HEVC_FIRST, HEVC_REST = b"\x26\x01\xaf", b"\x26\x01\x2f"


def part(*units: bytes, at_s: float = 0.0, keyframe: bool = False) -> Part:
    return Part(nal.with_start_codes(list(units)), at_s, 0.04, keyframe)


def key(*units: bytes, at_s: float = 0.0) -> Part:
    return part(*units, at_s=at_s, keyframe=True)


def joined(*parts: Part, codec: str = "h264") -> list[tuple[list[bytes], float, bool]]:
    return [
        (nal.units_by_start_code(whole.payload), whole.pts_s, whole.keyframe)
        for whole in whole_pictures(codec, parts)
    ]


def test_a_keyframe_in_two_is_one_again_and_has_the_later_time() -> None:
    assert joined(
        key(SPS, PPS, FIRST), key(AUD, SPS, PPS, REST, at_s=0.04), part(P_FIRST, at_s=0.08)
    ) == [([SPS, PPS, FIRST, REST], 0.04, True), ([P_FIRST], 0.08, False)]


def test_one_in_four_is_too_and_at_the_end() -> None:
    assert joined(key(SPS, FIRST), *[key(SPS, REST)] * 3) == [
        ([SPS, FIRST, REST, REST, REST], 0.0, True)
    ]


def test_h265_as_well() -> None:
    assert joined(key(*HEVC_SETS, HEVC_FIRST), key(*HEVC_SETS, HEVC_REST), codec="hevc") == [
        ([*HEVC_SETS, HEVC_FIRST, HEVC_REST], 0.0, True)
    ]


def test_whole_pictures_stay_as_they_are() -> None:
    parts = [
        key(SPS, PPS, FIRST, REST),
        part(P_FIRST, P_REST, at_s=0.04),
        key(SPS, PPS, FIRST, at_s=0.08),
        key(SPS, PPS, FIRST, at_s=0.12),
        part(P_FIRST, at_s=0.16),
    ]
    assert list(whole_pictures("h264", parts)) == parts


def test_one_that_never_ends_is_passed_on_in_pieces() -> None:
    many = list(whole_pictures("h264", [key(SPS, FIRST), *[key(SPS, REST)] * 999]))
    assert [len(nal.units_by_start_code(piece.payload)) for piece in many] == [257, 257, 257, 233]


def test_one_that_is_far_too_large_is_passed_on_in_pieces() -> None:
    rest = REST + bytes([0xFF]) * (BYTES_MAX // 3)
    sizes = [
        len(piece.payload)
        for piece in whole_pictures("h264", [key(SPS, FIRST), *[key(SPS, rest)] * 8])
    ]
    assert len(sizes) > 2
    assert max(sizes) <= BYTES_MAX


@pytest.mark.parametrize("payload", [b"", b"\x00\x00\x00\x01", b"\x00\x00\x00\x02\x65\x88"])
def test_what_has_no_slices_behind_start_codes_is_passed_on(payload: bytes) -> None:
    parts = [Part(payload, 0.0, 0.04, True), Part(payload, 0.04, 0.04, False)]
    assert list(whole_pictures("h264", parts)) == parts
