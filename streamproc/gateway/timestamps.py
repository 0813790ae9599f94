"""Points in time on the wire: epoch seconds, ISO 8601 and RFC 7231, as models name them.

Inside, a point in time is a float of seconds since the epoch. Pure.
"""

import math
import re
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

# Years 1 to 9999, the range of Python's datetime and more than any stream needs.
SECONDS_MIN = -62_135_596_800.0
SECONDS_MAX = 253_402_300_799.0
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)


def parse_timestamp(value: Any, style: str) -> float:
    """Read a JSON number or a text of the model's style (iso8601, rfc822, unixTimestamp).

    Raises ValueError whose text completes "must be …".
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a time")
    if isinstance(value, str):
        seconds = _parse_text(value, style)
    else:
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise ValueError("a time in seconds (not milliseconds) since the epoch, years 1 to 9999")
    return seconds


def format_timestamp(seconds: float, style: str) -> float | str:
    """Epoch seconds have milliseconds and no more, as the services print them."""
    if style == "unixTimestamp":
        return round(seconds, 3)
    if style == "iso8601":
        moment = datetime.fromtimestamp(seconds, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return formatdate(seconds, usegmt=True)


def _parse_text(text: str, style: str) -> float:
    try:
        if style == "unixTimestamp":
            if _NUMBER.fullmatch(text) is None:
                raise ValueError
            return float(text)
        moment = datetime.fromisoformat(text) if style == "iso8601" else parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        expected = {
            "unixTimestamp": "seconds since the epoch, such as 1700000000.25",
            "iso8601": "a time such as 2026-01-31T12:00:00Z",
        }
        raise ValueError(
            expected.get(style, "a time such as Sat, 31 Jan 2026 12:00:00 GMT")
        ) from None
