"""Bodies: where bytes and AsyncIterator[bytes] meet aiohttp.

Knows how a client's departure shows, in either direction. A body that is no stream has a size
and a time; streams have no timeouts, since a live one may be silent for as long as it likes,
but they end when whoever opened them is no longer welcome.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import HttpVersion11, StreamReader, web

from streamproc.aio import let_go, of_its_own
from streamproc.gateway.connection import Connection
from streamproc.gateway.errors import (
    BodyCut,
    MalformedRequest,
    RequestEntityTooLarge,
    RequestTimeout,
)
from streamproc.gateway.words import shown
from streamproc.model.caller import ANYONE, Caller

log = logging.getLogger(__name__)

# How soon a stream notices that its client left or is no longer welcome.
POLL_S = 0.25


def check_encoding(request: web.BaseRequest) -> None:
    """Bodies are read as they are: what is small on the wire stays small. Raises
    MalformedRequest for one that says it is compressed."""
    encodings = request.headers.getall("Content-Encoding", [])
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise MalformedRequest(
            f"Content-Encoding '{shown(', '.join(encodings))}' is not served; send the body "
            "uncompressed."
        )


async def invite_body(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its body (Expect, RFC 9110 section 10.1.1)."""
    expected = request.headers.get("Expect", "").lower()
    if expected == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun


async def read_body(request: web.BaseRequest, *, bytes_max: int, timeout_s: float) -> bytes:
    """The whole body. Raises RequestEntityTooLarge as soon as that is certain, RequestTimeout,
    and BodyCut."""
    received = bytearray()
    expected = request.content_length or 0
    if expected <= bytes_max:
        await invite_body(request)
    body = RequestBody(request)
    try:
        async with asyncio.timeout(timeout_s):
            while max(expected, len(received)) <= bytes_max:
                try:
                    received += await anext(body)
                except StopAsyncIteration:
                    return bytes(received)
    except TimeoutError:
        raise RequestTimeout(
            f"{len(received)} bytes of the body arrived within {timeout_s:g} s and not the rest "
            "(server.body_timeout_s)."
        ) from None
    raise RequestEntityTooLarge(
        f"Body of {max(expected, len(received))} bytes or more is larger than the "
        f"{bytes_max} bytes allowed (server.request_bytes_max)."
    )


class RequestBody(AsyncIterator[bytes]):
    """A request's body as it arrives, in pieces of any size, never empty.

    Raises BodyCut if the connection breaks, or the body's framing or compression is wrong,
    before its end.
    """

    def __init__(self, request: web.BaseRequest) -> None:
        self._content = request.content
        protocol = request.protocol
        self._connection = protocol if isinstance(protocol, Connection) else None

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._content.readany()
        except Exception as error:
            raise _cut_short(error) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """pour(), in the connection's own callback."""
        if self._connection is None:
            return await _pour(self, into)
        pouring = _Pouring(self._content, into)
        self._connection.tell(pouring.on_more)
        try:
            pouring.on_more()
            return await pouring.is_over()
        finally:
            self._connection.tell(None)


async def pour(body: AsyncIterator[bytes], into: Callable[[bytes], bool]) -> bool:
    """Call into with what comes, for as long as it returns True; whether that was to the end.

    Of a request, what arrives is handed over in the callback that received it: a body that comes
    in small pieces wakes no task for each of them. Raises what the body raises, and into.
    """
    return await (body.pour(into) if isinstance(body, RequestBody) else _pour(body, into))


async def _pour(body: AsyncIterator[bytes], into: Callable[[bytes], bool]) -> bool:
    async for data in body:
        if not into(data):
            return False
    return True


class _Pouring:
    """From one reading of a body to the next pause."""

    def __init__(self, content: StreamReader, into: Callable[[bytes], bool]) -> None:
        self._content = content
        self._into = into
        self._failure: Exception | None = None
        self._is_taking = False
        self._is_over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_more(self) -> None:
        # Reading may let more come in, while what was read is on its way.
        if self._is_taking or self._is_over.done():
            return
        self._is_taking = True
        try:
            while data := self._read():
                if not self._into(data):
                    self._is_over.set_result(False)
                    return
            if self._content.at_eof():
                self._is_over.set_result(True)
        except Exception as error:  # is raised where is_over() is waited for
            self._failure = error
            self._is_over.set_result(False)
        finally:
            self._is_taking = False

    async def is_over(self) -> bool:
        is_over = await self._is_over
        if self._failure is not None:
            raise self._failure
        return is_over

    def _read(self) -> bytes:
        try:
            return self._content.read_nowait()
        except Exception as error:
            raise _cut_short(error) from error


def _cut_short(error: Exception) -> BodyCut:
    """aiohttp hands over whatever broke the connection or its parser, of many types."""
    reason = " ".join(str(error).split())  # aiohttp's messages have several lines
    return BodyCut(f"request body ended early: {reason}")


@dataclass(frozen=True, slots=True)
class _Receiver:
    """Who a stream is sent to."""

    request: web.Request
    caller: Caller

    def is_gone(self) -> bool:
        transport = self.request.transport
        if transport is None or transport.is_closing():
            return True
        if not self.caller.is_valid:
            log.info(
                "%s: the key of %s is valid no longer; cut off", self.request.path, self.caller.arn
            )
            return True
        return False


class StreamSender:
    """Sends streaming answers, and ends all of them when the server stops."""

    def __init__(self) -> None:
        self._sending: dict[asyncio.Task[None], _Receiver] = {}
        self._watching: asyncio.Task[None] | None = None
        self._stopped = False

    async def send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        chunks: AsyncIterator[bytes],
        caller: Caller = ANYONE,
    ) -> web.StreamResponse:
        """Send the headers at once and then each chunk; close the iterator whatever happens.
        Ends, cut off, when the caller's key is revoked or expires.

        aiohttp could cancel the handlers of lost connections by itself, but only all of
        them, and a half-done CreateStream must not be cut. So we keep watch. The iterator runs
        in a single task from its first step to its close, as task groups and timeouts inside it
        need.
        """
        sending = asyncio.create_task(_send(request, response, chunks))
        self._sending[sending] = _Receiver(request, caller)
        if self._watching is None:
            self._watching = of_its_own(self._watch())
        try:
            if not self._stopped:
                await asyncio.wait((sending,))
        finally:
            del self._sending[sending]
            if not self._sending and self._watching is not None:
                self._watching.cancel()
                self._watching = None
            _cut(sending)
            await asyncio.wait((sending,))
            await let_go(chunks)  # again: a task cancelled before its first step closed nothing
            failure = None if sending.cancelled() else sending.exception()
        if sending.cancelled() or failure is not None:
            _log_failure(request, failure)
            # Without the last chunk of the chunked encoding: the client sees that it was cut.
            if request.transport is not None:
                request.transport.close()
        return response

    async def stop(self) -> None:
        """End every stream now, and each one that would begin later."""
        self._stopped = True
        sending = list(self._sending)
        for task in sending:
            _cut(task)
        if sending:
            await asyncio.wait(sending)

    async def _watch(self) -> None:
        """Cut off who left or is no longer welcome. Neither a transport nor a key has an event
        to wait for; and one look at all costs less than each one's own."""
        while True:
            for sending, receiver in self._sending.items():
                if not sending.cancelling() and receiver.is_gone():
                    _cut(sending)
            await asyncio.sleep(POLL_S)


async def _send(
    request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> None:
    try:
        await response.prepare(request)
        async for chunk in chunks:
            if chunk:
                await response.write(chunk)
    finally:
        await let_go(chunks)


def _cut(sending: asyncio.Task[None]) -> None:
    """Once: a second time would disturb it while it closes what it reads from."""
    if not sending.cancelling():
        sending.cancel()


def _log_failure(request: web.Request, error: BaseException | None) -> None:
    if error is None or isinstance(error, BodyCut | ConnectionError):
        log.debug("%s: the client left, or the server stops (%s)", request.path, error)
    else:
        log.error("%s: the stream broke while it was sent", request.path, exc_info=error)
