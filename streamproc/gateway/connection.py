"""One client's connection, held to its limits.

aiohttp reads HTTP; what it leaves open is closed here: a head that never ends, an answer that
nobody takes, a close that does not come about, garbage answered and logged as if it were a
mistake of ours. Knows nothing of operations; how many connections there may be is server.py's.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from streamproc.gateway.errors import (
    BodyCut,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    ServiceError,
)
from streamproc.gateway.faults import error_reply

log = logging.getLogger(__name__)

HEADERS_MAX: Final = 128
# Headers of a request together, in largest headers.
_HEAD_HEADERS: Final = 4
# Clients of AWS close idle connections of their own accord after 12 to 60 s.
_KEEPALIVE_S: Final = 75.0
# How long the unread rest of a refused body is swallowed, so that its sender sees the answer.
_LINGERING_S: Final = 5.0
_CLOSING_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take."""

    header_bytes_max: int = 16 * 1024  # request line, and any one header
    timeout_s: float = 60.0  # a head that has begun is here, what was sent is being read


class Connection(web.RequestHandler):
    """aiohttp's protocol, with its bytes counted and its silences timed by check()."""

    __slots__ = (
        "_answered",
        "_body",
        "_closing_since",
        "_head_bytes",
        "_head_since",
        "_is_lost",
        "_left",
        "_limits",
        "_stalled_since",
        "_told",
        "_was_paused",
        "_wire",
    )

    def __init__(
        self, server: web.Server, limits: ConnectionLimits, left: Callable[[], None]
    ) -> None:
        """left is called when the connection is gone."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as AppRunner's own documentation has it
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_LINGERING_S,
            max_line_size=limits.header_bytes_max,
            max_field_size=limits.header_bytes_max,
            max_headers=HEADERS_MAX,
            auto_decompress=False,  # a signature covers what was sent
        )
        self._limits = limits
        self._left = left
        self._wire: asyncio.Transport | None = None
        self._is_lost = False
        self._answered = 0  # requests, whole or broken
        self._body: Any = None  # of the request answered last
        self._head_bytes = 0
        self._head_since: float | None = None
        self._stalled_since: float | None = None
        self._closing_since: float | None = None
        self._told: Callable[[], None] | None = None
        self._was_paused = False

    def tell(self, told: Callable[[], None] | None) -> None:
        """told is called, from now on, when more of a request has come or no more will."""
        self._told = told

    @property
    def was_made(self) -> bool:
        """The connection stood at some time, so that left has been or will be called."""
        return self._wire is not None

    @property
    def is_open(self) -> bool:
        return self.was_made and not self._is_lost

    def check(self, now: float) -> None:
        """Close what has taken too long. now is the loop's time; to be called each second."""
        if self._wire is None:
            return
        if self._wire.is_closing() or self._closing_since is not None:
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since > _CLOSING_S_MAX:
                self._wire.abort()
        elif _is_over(self._stalled_since, now, self._limits.timeout_s):
            log.info("%s takes nothing of what it asked for; cut off", self._peer)
            self._wire.abort()
        elif _is_over(self._head_since, now, self._limits.timeout_s):
            self._refuse(
                RequestTimeout(
                    f"The request's head did not arrive within {self._limits.timeout_s:g} s "
                    "(server.body_timeout_s)."
                )
            )

    # --- what the transport tells ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = transport if isinstance(transport, asyncio.Transport) else None
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._is_lost = True
        self._left()
        super().connection_lost(exc)
        if self._told is not None:
            self._told()

    def pause_writing(self) -> None:
        self._stalled_since = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    def pause_reading(self) -> None:
        self._was_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this behind every read of a body, and has its parser run once more each
        # time, in case reading was paused. Once it was, always: the parser may take notice of a
        # pause after reading has gone on, and then holds what comes next until it is run.
        if self._was_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        count = self._request_count
        super().data_received(data)
        if self._request_count > count:
            self._head_bytes, self._head_since = 0, None
            self._cut_body()
        elif data and self._is_waiting:
            self._head_bytes += len(data)
            if self._head_since is None:
                self._head_since = self._loop.time()
            if self._head_bytes > self._limits.header_bytes_max * _HEAD_HEADERS:
                self._refuse(HeadersTooLarge(self._head_words))
        if self._told is not None:
            self._told()

    # --- what aiohttp asks ----------------------------------------------------------------

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._answered += 1
            self._body = request.content

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, in the shape of every other error."""
        if status != 400:  # not the client's doing
            log.error("a request of %s failed", self._peer, exc_info=exc)
            return super().handle_error(request, status, exc, message)
        error = self._complaint(exc, message or "")
        log.debug("%s: %s", self._peer, error.message)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        reply = error_reply(error, None, str(uuid.uuid4()))
        assert isinstance(reply.body, bytes)
        response = web.Response(status=reply.status, headers=reply.headers, body=reply.body)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **_: Any) -> None:
        """Of a connection, not of a request: those are logged where they fail."""
        log.debug(*args, exc_info=True)

    # --------------------------------------------------------------------------------------

    @property
    def _is_waiting(self) -> bool:
        """For the head of a request: nothing is being answered, nothing swallowed."""
        return (
            self._request_count == self._answered
            and (self._body is None or self._body.is_eof())
            and self._closing_since is None
            and self._wire is not None
            and not self._wire.is_closing()
        )

    @property
    def _head_words(self) -> str:
        largest = self._limits.header_bytes_max
        return (
            f"A request line or header is larger than {largest} bytes, or there are more than "
            f"{HEADERS_MAX} headers or {largest * _HEAD_HEADERS} bytes of them "
            "(server.header_bytes_max)."
        )

    @property
    def _peer(self) -> str:
        name = self._wire.get_extra_info("peername") if self._wire else None
        return str(name[0]) if isinstance(name, tuple) else "a client"

    def _complaint(self, error: BaseException | None, message: str) -> ServiceError:
        if isinstance(error, LineTooLong) or "Too many headers" in message:
            return HeadersTooLarge(self._head_words)
        first = next((line.strip(" :") for line in message.splitlines() if line.strip()), "")
        return MalformedRequest(f"The request is not HTTP/1.1: {first[:100]}.")

    def _cut_body(self) -> None:
        """No further head can come before the end of a body: its framing is broken, and
        aiohttp's parser, which has given up, would let its reader wait."""
        request = self._current_request
        if request is not None and not request.content.is_eof():
            request.content.set_exception(BodyCut("its framing is not HTTP/1.1"))

    def _refuse(self, error: ServiceError) -> None:
        """Answer what is not a request yet, and close."""
        reply = error_reply(error, None, str(uuid.uuid4()))
        assert isinstance(reply.body, bytes)
        lines = [f"HTTP/1.1 {reply.status} {error.code}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += [f"Content-Length: {len(reply.body)}", "", ""]
        log.debug("%s: %s", self._peer, error.message)
        assert self._wire is not None
        self._wire.write("\r\n".join(lines).encode() + reply.body)
        if self._wire.can_write_eof():
            # A close with bytes unread resets the connection, and the answer would be lost.
            self._closing_since = self._loop.time()
            self._wire.write_eof()
            self.close()
        else:
            self.force_close()


def _is_over(since: float | None, now: float, timeout_s: float) -> bool:
    return since is not None and now - since > timeout_s
