"""Streaming bodies: where AsyncIterator[bytes] meets aiohttp.

Knows how a client's departure shows, in either direction. No timeouts: a live stream may be
silent for as long as it likes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from streamproc.gateway.errors import BodyCut

log = logging.getLogger(__name__)

# How soon a stream that has nothing to send notices that its client left.
DISCONNECT_POLL_S = 0.25


class RequestBody(AsyncIterator[bytes]):
    """A request's body as it arrives, in pieces of any size, never empty.

    Raises BodyCut if the connection breaks, or the body's framing or compression is wrong,
    before its end.
    """

    def __init__(self, request: web.BaseRequest) -> None:
        self._content = request.content

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._content.readany()
        # aiohttp hands over whatever broke the connection or its parser, of many types.
        except Exception as error:
            reason = " ".join(str(error).split())  # aiohttp's messages have several lines
            raise BodyCut(f"request body ended early: {reason}") from error
        if not chunk:
            raise StopAsyncIteration
        return chunk


class StreamSender:
    """Sends streaming answers, and ends all of them when the server stops."""

    def __init__(self) -> None:
        self._sending: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def send(
        self, request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        """Send the headers at once and then each chunk; close the iterator whatever happens.

        aiohttp could cancel the handlers of lost connections by itself, but only all of
        them, and a half-done CreateStream must not be cut. So each stream keeps watch. The
        iterator runs in a single task from its first step to its close, as task groups and
        timeouts inside it need.
        """
        sending = asyncio.create_task(_send(request, response, chunks))
        watching = asyncio.create_task(_wait_for_departure(request))
        self._sending.add(sending)
        try:
            if not self._stopped:
                await asyncio.wait((sending, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sending.discard(sending)
            sending.cancel()
            watching.cancel()
            await asyncio.wait((sending, watching))
            await _close(chunks)  # again: a task cancelled before its first step closed nothing
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
            task.cancel()
        if sending:
            await asyncio.wait(sending)


async def _send(
    request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> None:
    try:
        await response.prepare(request)
        async for chunk in chunks:
            if chunk:
                await response.write(chunk)
    finally:
        await _close(chunks)


async def _close(chunks: AsyncIterator[bytes]) -> None:
    aclose = getattr(chunks, "aclose", None)
    if aclose is not None:
        await aclose()


async def _wait_for_departure(request: web.Request) -> None:
    # The transport has no event to wait for.
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(DISCONNECT_POLL_S)


def _log_failure(request: web.Request, error: BaseException | None) -> None:
    if error is None or isinstance(error, BodyCut | ConnectionError):
        log.debug("%s: the client left, or the server stops (%s)", request.path, error)
    else:
        log.error("%s: the stream broke while it was sent", request.path, exc_info=error)
