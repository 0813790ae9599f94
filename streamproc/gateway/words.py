"""How messages name a member and show its value: short, on one line, never a whole blob."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.model import Shape

SHOWN_CHARS_MAX = 64


def member(path: str, name: str) -> str:
    """The path of a member, as the caller would write it: Settings.FaceSearch."""
    return f"{path}.{shown(name)}" if path else shown(name)


def item(path: str, index: int) -> str:
    return f"{path}[{index}]"


def shown_member(shape: Shape, value: Any) -> str:
    """A member's value in quotes; a secret stays one, and null has no quotes."""
    if value is None:
        return "null"
    return "<hidden>" if shape.metadata.get("sensitive") else f"'{shown(value)}'"


def shown(value: Any) -> str:
    """A value for a person: at most about SHOWN_CHARS_MAX characters, control characters
    escaped, containers and blobs only by their size."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _shown_text(value)
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))  # 101 where the caller may well have written 101
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case Mapping():
            return f"<object of {len(value)} members>"
        case Sequence():
            return f"<list of {len(value)} items>"
        case _:
            return _shown_text(repr(value))


def _shown_text(text: str) -> str:
    cut = escaped = text[:SHOWN_CHARS_MAX]
    if not cut.isprintable():
        escaped = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut
        )
    return escaped if len(text) <= SHOWN_CHARS_MAX else f"{escaped}… ({len(text)} characters)"
