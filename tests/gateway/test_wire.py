"""Values of every type, from JSON and back."""

import math
from typing import Any

import pytest
from botocore.model import DenormalizedStructureBuilder, Shape
from hypothesis import given
from hypothesis import strategies as st

from streamproc.gateway.errors import Serialization
from streamproc.gateway.timestamps import (
    SECONDS_MAX,
    SECONDS_MIN,
    format_timestamp,
    parse_timestamp,
)
from streamproc.gateway.validate import complaint
from streamproc.gateway.wire import build_structure, dump_json, parse_json, parse_structure


def shape_of(member: dict[str, Any]) -> Shape:
    """A structure whose only member is Value."""
    return DenormalizedStructureBuilder().with_members({"Value": member}).build_model()


def parsed(member: dict[str, Any], value: Any) -> Any:
    return parse_structure(shape_of(member), {"Value": value})["Value"]


def text(**constraints: Any) -> dict[str, Any]:
    return {"type": "string", **constraints}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 2**31 - 1, 2**31 - 1),
        ("integer", 5.0, 5),
        ("long", -(2**63), -(2**63)),
        ("float", 1, 1.0),
        ("double", 1e-300, 1e-300),
        ("boolean", False, False),
        ("blob", "AP8=", b"\x00\xff"),
        ("blob", "", b""),
        ("timestamp", 1700000000.25, 1700000000.25),
        ("timestamp", "1700000000.25", 1700000000.25),
        ("string", "", ""),
        ("string", "😀\x00", "😀\x00"),
    ],
)
def test_a_json_value_becomes_the_shapes_type(kind: str, value: Any, expected: Any) -> None:
    got = parsed({"type": kind}, value)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("integer", 2**31, "Value '2147483648' at 'Value' must be a whole number of 32 bits."),
        ("long", 2**63, "must be a whole number of 64 bits."),
        ("integer", 1.5, "Value '1.5' at 'Value' must be a whole number."),
        ("integer", True, "Value 'true' at 'Value' must be a whole number."),
        ("integer", "5", "Value '5' at 'Value' must be a whole number."),
        ("integer", math.inf, "must be a whole number."),
        ("float", "1.5", "must be a number."),
        ("float", math.inf, "Value 'inf' at 'Value' must be a finite number."),
        ("float", 10**400, "must be a finite number."),
        ("float", False, "must be a number."),
        ("boolean", 0, "must be true or false."),
        ("boolean", "true", "must be true or false."),
        ("blob", "AP8", "must be base64 (standard alphabet, padded)."),
        ("blob", "AP8=AP8=", "must be base64"),
        ("blob", "A-_=", "must be base64"),
        ("blob", "é===", "must be base64"),
        ("blob", 5, "must be a base64 string."),
        ("timestamp", 1700000000000, "in seconds (not milliseconds) since the epoch"),
        ("timestamp", 10**400, "in seconds"),
        ("timestamp", True, "must be a time."),
        ("timestamp", "2026-01-31", "must be seconds since the epoch"),
        ("timestamp", "nan", "must be seconds since the epoch"),
        ("string", 5, "must be a string."),
        ("string", {"a": 1}, "Value '<object of 1 members>' at 'Value' must be a string."),
        ("string", "\udc80", "Value '\\udc80' at 'Value' must be a string of Unicode characters."),
    ],
)
def test_another_type_is_refused_by_member_and_value(kind: str, value: Any, words: str) -> None:
    with pytest.raises(Serialization) as refused:
        parsed({"type": kind}, value)
    assert words in refused.value.message


def test_a_secret_is_never_shown() -> None:
    secret = text(max=3, sensitive=True)
    problem = complaint(shape_of(secret), {"Value": "hunter2"})
    assert problem is not None
    assert "hunter2" not in problem
    assert "<hidden>" in problem
    with pytest.raises(Serialization, match="Value <hidden> at"):
        parsed({"type": "integer", "sensitive": True}, "hunter2")


def test_null_within_lists_and_maps_is_a_problem_with_a_place() -> None:
    lists = {"type": "list", "member": text()}
    members = parse_structure(shape_of(lists), {"Value": ["a", None]})
    assert "Value null at 'Value[1]' failed" in (complaint(shape_of(lists), members) or "")
    maps = {"type": "map", "key": text(min=2), "value": text()}
    members = parse_structure(shape_of(maps), {"Value": {"ab": None, "c": "d"}})
    message = complaint(shape_of(maps), members) or ""
    assert "Value null at 'Value.ab' failed" in message
    assert "Value 'c' at 'Value key' failed" in message


def test_items_of_lists_are_checked_one_by_one() -> None:
    shape = shape_of({"type": "list", "member": text(pattern="[a-z]+", enum=["a", "b", "c"])})
    message = complaint(shape, {"Value": ["a", "B", "d"]}) or ""
    assert message.startswith("3 validation errors detected: Value 'B' at 'Value[1]' failed")
    assert (
        "Value 'd' at 'Value[2]' failed to satisfy constraint: Member must satisfy enum" in message
    )


def test_a_boundless_text_is_not_searched_for_ever() -> None:
    shape = shape_of(text(pattern="(a|aa)+b"))
    assert "regular expression" in (complaint(shape, {"Value": "a" * 5000}) or "")


@pytest.mark.parametrize(
    ("member", "value", "error"),
    [
        (text(), 5, "output Value is a int, not str"),
        ({"type": "integer"}, 5.0, "output Value is a float, not int"),
        ({"type": "integer"}, True, "output Value is a bool, not int"),
        ({"type": "timestamp"}, "now", "output Value is a str, not int or float"),
        ({"type": "boolean"}, 1, "output Value is a int, not bool"),
        ({"type": "structure", "members": {}}, [], "output Value is a list, not a dict"),
        ({"type": "structure", "members": {}}, {"X": 1}, "not in shape"),
        ({"type": "list", "member": text()}, ["a", 1], r"output Value\[1\] is a int"),
    ],
)
def test_a_handlers_slip_is_named(member: dict[str, Any], value: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        build_structure(shape_of(member), {"Value": value})


def test_nan_never_leaves() -> None:
    built = build_structure(shape_of({"type": "double"}), {"Value": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json(built)


@given(st.floats(SECONDS_MIN + 1, SECONDS_MAX - 1), st.sampled_from(["unixTimestamp", "iso8601"]))
def test_a_time_survives_the_wire_to_the_millisecond(seconds: float, style: str) -> None:
    there = format_timestamp(seconds, style)
    assert parse_timestamp(there, style) == pytest.approx(seconds, abs=0.00101)


@given(st.integers(0, int(SECONDS_MAX)))
def test_a_time_in_a_header_survives_to_the_second(seconds: int) -> None:
    assert parse_timestamp(format_timestamp(seconds, "rfc822"), "rfc822") == seconds


@given(st.text(), st.sampled_from(["unixTimestamp", "iso8601", "rfc822"]))
def test_any_text_is_a_time_or_refused(value: str, style: str) -> None:
    try:
        seconds = parse_timestamp(value, style)
    except ValueError as refused:
        words = str(refused)
    else:
        words = f"a time {seconds}"
        assert SECONDS_MIN <= seconds <= SECONDS_MAX
    assert words.startswith(("a time", "seconds since"))


@given(st.binary())
def test_any_body_is_json_or_a_serialization_error(body: bytes) -> None:
    try:
        value = parse_json(body)
    except Serialization as refused:
        value = refused.message
    assert dump_json(value) or value == ""
