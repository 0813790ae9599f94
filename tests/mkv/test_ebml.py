"""Variable-length integers, sizes and whole elements."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import MkvError
from streamproc.mkv.ebml import (
    Id,
    children,
    element,
    id_bytes,
    read_header,
    read_string,
    read_uint,
    read_vint,
    size_bytes,
    uint_bytes,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(size=st.integers(0, (1 << 56) - 2))
def test_a_size_is_written_in_as_few_bytes_as_will_do(size: int) -> None:
    encoded = size_bytes(size)
    assert read_vint(encoded, 0, 0) == (size, len(encoded))
    if len(encoded) > 1:
        with pytest.raises(ValueError, match="does not fit"):
            size_bytes(size, len(encoded) - 1)


@pytest.mark.parametrize("length", range(1, 9))
def test_all_value_bits_set_mean_unknown_and_are_never_written_as_a_size(length: int) -> None:
    unknown = (1 << 7 * length) - 1
    data = id_bytes(Id.CLUSTER) + (unknown | 1 << 7 * length).to_bytes(length, "big")
    assert read_header(data, 0, 0) == (Id.CLUSTER, None, 4 + length)
    with pytest.raises(ValueError, match=f"size {unknown} does not fit {length} bytes"):
        size_bytes(unknown, length)
    largest = element(Id.VOID, size_length=1)[:1] + size_bytes(unknown - 1, length)
    assert read_header(largest, 0, 0) == (Id.VOID, unknown - 1, 1 + length)


@pytest.mark.parametrize("missing", range(1, 6))
def test_an_incomplete_header_asks_for_more(missing: int) -> None:
    header = id_bytes(Id.SEGMENT) + size_bytes(5, 2)
    assert read_header(header[:-missing], 0, 0) is None


@pytest.mark.parametrize(("data", "named"), [(b"\x00\x80", "Byte 77"), (b"\xec\x00", "byte 77")])
def test_an_impossible_header_is_refused_with_its_place(data: bytes, named: str) -> None:
    with pytest.raises(MkvError, match=named):
        read_header(data, 0, 77)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.integers(0, (1 << 64) - 1))
def test_an_unsigned_integer_survives(value: int) -> None:
    assert read_uint(uint_bytes(value), 0) == value


def test_integers_may_be_empty_but_not_longer_than_8_bytes() -> None:
    assert read_uint(b"", 0) == 0
    with pytest.raises(MkvError, match="byte 12 has 9 bytes"):
        read_uint(bytes(9), 12)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"matroska\0", "matroska"),
        (b"V_MS/VFW/FOURCC" + bytes(17), "V_MS/VFW/FOURCC"),
        (b"", ""),
        (b"\0\0", ""),
        ("Übergang".encode(), "Übergang"),
        (b"a\xffb", "a\ufffdb"),
    ],
)
def test_a_string_ends_at_its_first_nul(body: bytes, text: str) -> None:
    assert read_string(body) == text


def test_children_are_walked_with_their_places() -> None:
    body = element(Id.TAG_NAME, b"a") + element(Id.TAG_STRING, b"bc", size_length=8)
    assert list(children(body, 100)) == [
        (Id.TAG_NAME, b"a", 103),
        (Id.TAG_STRING, b"bc", 114),
    ]
