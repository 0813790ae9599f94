"""A proxy in front of a Kinesis Data service that lets PutRecords fail on command.

Everything else passes through. Knows no records: only which stream a call is for.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import aiohttp
from aiohttp import web

Fault: TypeAlias = Callable[["DataProxy", web.Request, bytes], Awaitable[web.StreamResponse]]
_STREAM = re.compile(rb":stream/([\w.-]+)")
_HOP_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "content-encoding"}
_TYPE = "application/x-amz-json-1.1"


class DataProxy:
    def __init__(self, target_url: str) -> None:
        self._target_url = target_url
        self._session: aiohttp.ClientSession | None = None
        self._faults: dict[str, tuple[Fault, bool]] = {}
        self._met: dict[str, asyncio.Event] = {}
        self._under_way: dict[str, int] = {}
        self._ended = asyncio.Condition()
        self._held: dict[str, asyncio.Event] = {}
        self.unheard: dict[str, int] = {}  # calls that were answered when nobody listened

    def app(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_cleanup.append(self._close)
        return app

    @asynccontextmanager
    async def failing(
        self, stream: str, fault: Fault, *, once: bool
    ) -> AsyncIterator[asyncio.Event]:
        """PutRecords to this stream fail while the block runs, or only the first of them does;
        yields the event of that one."""
        self._met[stream] = asyncio.Event()
        self._faults[stream] = (fault, once)
        try:
            yield self._met[stream]
        finally:
            self._faults.pop(stream, None)

    @asynccontextmanager
    async def holding(self, stream: str) -> AsyncIterator[None]:
        """No PutRecords reaches the stream while the block runs; those under way are through."""
        gate = self._held[stream] = asyncio.Event()
        try:
            async with self._ended:
                await self._ended.wait_for(lambda: not self._under_way.get(stream))
            yield
        finally:
            del self._held[stream]
            gate.set()

    async def forward(self, request: web.Request, body: bytes) -> web.Response:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_HEADERS}
        try:
            async with self._session.request(
                request.method, self._target_url + request.path_qs, headers=headers, data=body
            ) as answer:
                content = await answer.read()
                request["forwarded"] = True
                return web.Response(
                    status=answer.status,
                    body=content,
                    headers={
                        k: v for k, v in answer.headers.items() if k.lower() not in _HOP_HEADERS
                    },
                )
        except (aiohttp.ClientError, OSError):
            return hang_up(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        found = _STREAM.search(body)
        if found is None or not request.headers.get("X-Amz-Target", "").endswith(".PutRecords"):
            return await self.forward(request, body)
        stream = found[1].decode()
        if gate := self._held.get(stream):
            await gate.wait()
        self._under_way[stream] = self._under_way.get(stream, 0) + 1
        try:
            return await self._put_records(stream, request, body)
        finally:
            if request.get("forwarded") and _has_left(request):
                self.unheard[stream] = self.unheard.get(stream, 0) + 1
            self._under_way[stream] -= 1
            async with self._ended:
                self._ended.notify_all()

    async def _put_records(
        self, stream: str, request: web.Request, body: bytes
    ) -> web.StreamResponse:
        fault, once = self._faults.get(stream, (None, False))
        if fault is None:
            return await self.forward(request, body)
        if once:
            del self._faults[stream]
        try:
            return await fault(self, request, body)
        finally:
            self._met[stream].set()

    async def _close(self, _app: web.Application) -> None:
        if self._session is not None:
            await self._session.close()


def _has_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def hang_up(request: web.Request) -> web.Response:
    """Reset the connection instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def _error(status: int, code: str) -> web.Response:
    text = json.dumps({"__type": code, "message": "as the harness wants it"})
    return web.Response(status=status, text=text, content_type=_TYPE)


async def throttled(proxy: DataProxy, request: web.Request, body: bytes) -> web.StreamResponse:
    return _error(400, "ProvisionedThroughputExceededException")


async def broken(proxy: DataProxy, request: web.Request, body: bytes) -> web.StreamResponse:
    return _error(500, "InternalFailure")


async def refused_in_part(
    proxy: DataProxy, request: web.Request, body: bytes
) -> web.StreamResponse:
    """A call that succeeds, with records that do not."""
    asked = json.loads(body)
    refusal = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "busy"}
    kept, refused = asked["Records"][:-1], asked["Records"][-1:]
    results = []
    if kept:
        answer = await proxy.forward(request, json.dumps({**asked, "Records": kept}).encode())
        results = json.loads(answer.text or "{}")["Records"]
    answered = {"FailedRecordCount": len(refused), "Records": results + [refusal] * len(refused)}
    return web.Response(text=json.dumps(answered), content_type=_TYPE)


async def reset_before(proxy: DataProxy, request: web.Request, body: bytes) -> web.StreamResponse:
    return hang_up(request)


async def reset_after(proxy: DataProxy, request: web.Request, body: bytes) -> web.StreamResponse:
    await proxy.forward(request, body)
    return hang_up(request)


async def accepted_in_silence(
    proxy: DataProxy, request: web.Request, body: bytes
) -> web.StreamResponse:
    """The records are stored, and nobody says so until the client gives up."""
    answer = await proxy.forward(request, body)
    for _ in range(300):
        if _has_left(request):
            break
        await asyncio.sleep(0.1)
    return answer
