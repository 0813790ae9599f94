"""NAL units change their framing and stay what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.mkv import nal

# As encoders make them: no start code inside (emulation prevention), no zero at the end.
UNITS = st.lists(
    st.binary(min_size=1, max_size=600).map(
        lambda unit: b"\x65" + unit.replace(b"\x00\x00", b"\x00\x03") + b"\x80"
    ),
    min_size=1,
    max_size=8,
)


@given(UNITS)
def test_units_survive_either_framing(units: list[bytes]) -> None:
    assert nal.units_by_start_code(nal.with_start_codes(units)) == units
    assert nal.units_by_length(nal.with_lengths(units, 4), 4) == units
    assert nal.units_by_length(nal.with_lengths(units, 2), 2) == units


@given(UNITS)
def test_the_framing_shows(units: list[bytes]) -> None:
    assert nal.is_length_prefixed(nal.with_lengths(units), 4)
    assert not nal.is_length_prefixed(nal.with_start_codes(units), 4)
    assert nal.has_start_code(nal.with_start_codes(units))


def test_a_length_that_looks_like_a_start_code_is_a_length() -> None:
    payload = nal.with_lengths([bytes([0x65]) * 300])  # 300 is 00 00 01 2c
    assert nal.has_start_code(payload)
    assert nal.is_length_prefixed(payload, 4)


def test_zeros_around_start_codes_belong_to_no_unit() -> None:
    payload = b"\x00\x00\x00\x00\x01\x67\x42\x00\x00\x00\x00\x01\x68\xce\x00"
    assert nal.units_by_start_code(payload) == [b"\x67\x42", b"\x68\xce"]


@pytest.mark.parametrize("payload", [b"", b"\x00", bytes(4), bytes(8), b"\x00\x00\x00\x09ab"])
def test_what_does_not_chain_is_not_length_prefixed(payload: bytes) -> None:
    assert not nal.is_length_prefixed(payload, 4)


def test_a_unit_that_is_cut_is_kept_as_far_as_it_goes() -> None:
    assert nal.units_by_length(b"\x00\x00\x00\x02ab\x00\x00\x00\x09cd", 4) == [b"ab", b"cd"]


def test_a_unit_too_long_for_its_length_is_refused() -> None:
    with pytest.raises(OverflowError):
        nal.with_lengths([bytes(256)], 1)


@pytest.mark.parametrize(
    ("codec", "private", "size"),
    [
        ("h264", bytes.fromhex("014d401e03010027"), 4),  # reserved bits 0, as a real producer has
        ("h264", bytes.fromhex("014d401efde1"), 2),
        ("hevc", b"\x01" + bytes(20) + b"\xfc\x01", 1),
        ("hevc", b"\x01", 4),
        ("h264", nal.START_CODE + b"\x67", 4),
        ("h264", b"", 4),
    ],
)
def test_the_configuration_says_how_long_lengths_are(codec: str, private: bytes, size: int) -> None:
    assert nal.length_size(codec, private) == size


def test_decoding_may_begin_at_an_idr_or_irap_picture_only() -> None:
    assert nal.opens_decoding("h264", [b"\x09\xf0", b"\x65\x88"])
    assert not nal.opens_decoding("h264", [b"\x09\xf0", b"\x41\x9a", b""])
    assert nal.opens_decoding("hevc", [bytes([21 << 1, 1])])  # CRA
    assert not nal.opens_decoding("hevc", [bytes([1 << 1, 1]), bytes([32 << 1, 1])])
