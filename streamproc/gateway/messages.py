"""What the gateway's pure parts see of an HTTP request, and what they answer.

Values only: no sockets, no aiohttp.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What of a request may hold members; its path is routing.py's."""

    query: Mapping[str, Sequence[str]]  # decoded
    headers: Mapping[str, str]  # lower-case names
    body: bytes | AsyncIterator[bytes] = field(repr=False)  # an iterator for a streaming payload


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: Mapping[str, str]
    body: bytes | AsyncIterator[bytes] = field(repr=False)
