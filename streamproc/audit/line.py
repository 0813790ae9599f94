"""One line of the audit log: what it says, how it is written, what its hash covers.

Pure. A line is a JSON object with the members number, time, who, event, details, previous and
hash, in this order. hash is the SHA-256, in hexadecimal, of the line's bytes with the member
hash taken out (and without the newline), so no byte of a line can change unseen; previous is
the hash of the line before, so no line can be missing, moved or put in between.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

GENESIS: Final = "0" * 64
"""What the first line of all has as its previous."""
LINE_BYTES_MAX: Final = 1024 * 1024
TORN: Final = "TornLine"
"""The event of a line that owns up to the bytes before it: their writer was killed, or the disk
was full, in the middle of them."""
TORN_MARK: Final = b" <torn>\n"
"""Ends a line that was cut. No line that was written whole ends like this."""

_HASH: Final = b',"hash":"'
# ASCII: a name with a line separator of Unicode stays one line for every reader.
_JSON: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody did, before it has its place in the log."""

    at: float  # seconds since the epoch
    who: str  # an ARN, or words for whoever has none
    event: str
    details: Mapping[str, Any]  # JSON values; never vectors, boxes, pictures or names


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in its place."""

    number: int  # from 1
    time: str  # UTC, ISO 8601, milliseconds
    who: str
    event: str
    details: Mapping[str, Any]
    previous: str
    hash: str


def encode(entry: Entry, number: int, previous: str) -> tuple[bytes, str]:
    """The line with its newline, and its hash. Raises ValueError for more than LINE_BYTES_MAX."""
    members = {
        "number": number,
        "time": time_text(entry.at),
        "who": entry.who,
        "event": entry.event,
        "details": dict(entry.details),
        "previous": previous,
    }
    body = _JSON.encode(members).encode()
    digest = hashlib.sha256(body).hexdigest()
    line = body[:-1] + _HASH + digest.encode() + b'"}\n'
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"an audit line of {len(line)} bytes; {LINE_BYTES_MAX} are the most")
    return line, digest


def decode(raw: bytes) -> Line | None:
    """The line, None if it is not exactly as encode() wrote it."""
    body, separator, rest = raw.rpartition(_HASH)
    if not separator or len(rest) != 67 or not rest.endswith(b'"}\n'):
        return None
    digest = hashlib.sha256(body + b"}").hexdigest()
    if rest[:64] != digest.encode():
        return None
    try:
        return Line(**json.loads(raw))
    except (ValueError, TypeError):
        return None


def torn_entry(at: float, torn: bytes) -> Entry:
    """What the line behind torn bytes says of them; they end with TORN_MARK."""
    details = {"Bytes": len(torn), "SHA256": hashlib.sha256(torn).hexdigest()}
    return Entry(at, "streamproc", TORN, details)


def owns_up_to(line: Line, torn: bytes) -> bool:
    """Whether this line accounts for exactly these bytes."""
    return line.event == TORN and dict(line.details) == torn_entry(0.0, torn).details


def is_torn(rest: bytes) -> bool:
    """Whether bytes behind the last whole line are what a writer leaves that was cut: a line
    without its newline, perhaps behind others that are marked already."""
    *marked, _ = rest.split(b"\n")
    return all((part + b"\n").endswith(TORN_MARK) for part in marked)


def time_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
