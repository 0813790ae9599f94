"""Server-sent events, as text; and the bell that says when there is more to send.

Source of the format: HTML standard, 9.2 "Server-sent events". Knows nothing of what is sent.
"""

import asyncio
from typing import Final

from aiohttp import web

from streamproc.gateway.errors import InvalidParameter
from streamproc.gateway.words import shown
from streamproc.web.pages import HEADERS

HEARTBEAT: Final = b":\n\n"
"""A comment: keeps proxies from closing a silent stream, and shows that it is alive."""
HEARTBEAT_S: Final = 15.0
OPENING: Final = b"retry: 2000\n\n"
"""How long a client waits, in milliseconds, before it connects again."""

_ID_MAX: Final = 2**63 - 1


def message(name: str, data: bytes, *, number: int | None = None) -> bytes:
    """One event. data is JSON on one line; number is the id that a client resumes behind."""
    start = b"" if number is None else b"id: %d\n" % number
    return start + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def resumes_behind(request: web.Request) -> int | None:
    """The id of the last event that the client has, None if it does not say. Raises
    InvalidParameter if that is no id."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after") or None
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or int(text) > _ID_MAX:
        raise InvalidParameter(
            f"Last-Event-ID or after '{shown(text)}' is no event's id; leave it out to begin now."
        )
    return int(text)


def stream_response() -> web.StreamResponse:
    """The head of an answer that does not end by itself."""
    headers = {
        **HEADERS,
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # nginx would hold back what it is to pass on
    }
    return web.StreamResponse(headers=headers)


class Bell:
    """Wakes all who wait. Who was busy when it rang sees that by the number of rings."""

    def __init__(self) -> None:
        self.rings = 0
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self.rings += 1
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    async def heard(self, beyond: int, timeout_s: float) -> bool:
        """Whether it rang more often than beyond, by the time this returns."""
        if self.rings == beyond:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._rung.wait()
            except TimeoutError:
                return False
        return True
