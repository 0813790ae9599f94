"""A body handed over where it arrives: every byte, in order, whoever pauses, breaks or leaves."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
from aiohttp import web

from streamproc.gateway.errors import BodyCut
from streamproc.gateway.server import Server
from streamproc.gateway.streams import RequestBody, pour
from streamproc.settings import ServerConfig

Taker: TypeAlias = Callable[[AsyncIterator[bytes]], Awaitable[Any]]
Send: TypeAlias = Callable[[Taker], Awaitable["Sender"]]

MIB = 1 << 20


class Sender:
    """A client in the middle of its request, and what became of its body on the other side."""

    def __init__(self, writer: asyncio.StreamWriter, taken: "asyncio.Future[Any]") -> None:
        self.writer, self.taken = writer, taken

    async def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def outcome(self) -> Any:
        async with asyncio.timeout(60):
            return await self.taken


@pytest.fixture(params=["our connections", "any connection"])
async def send(request: pytest.FixtureRequest) -> AsyncIterator[Send]:
    """Begin a request whose body the taker gets."""
    async with AsyncExitStack() as stack:

        async def begin(taker: Taker) -> Sender:
            taken: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def handle(asked: web.Request) -> web.Response:
                try:
                    taken.set_result(await taker(RequestBody(asked)))
                except Exception as error:
                    taken.set_exception(error)
                return web.Response()

            app = web.Application()
            app.router.add_post("/", handle)
            if request.param == "our connections":
                listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                listener.setblocking(False)
                server = Server(app, ServerConfig())
                stack.push_async_callback(server.aclose)
                await server.start()
                server.listen(listener)
                port = listener.getsockname()[1]
            else:
                runner = web.AppRunner(app, shutdown_timeout=5)
                stack.push_async_callback(runner.cleanup)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                port = runner.addresses[0][1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
            return Sender(writer, taken)

        yield begin


async def test_a_body_larger_than_any_buffer_comes_whole_through_every_pause(send: Send) -> None:
    received = bytearray()
    pauses = 0

    def take(data: bytes) -> bool:
        received.extend(data)
        return len(received) < (pauses + 1) * MIB

    async def taker(body: AsyncIterator[bytes]) -> int:
        nonlocal pauses
        while not await pour(body, take):
            pauses += 1
            for _ in range(20):  # the client fills what buffers there are
                await asyncio.sleep(0)
        return pauses

    sender = await send(taker)
    sent = b""
    for number in range(100):
        data = number.to_bytes(4, "big") * 20_000
        sent += data
        await sender.chunk(data)
    sender.writer.write(b"0\r\n\r\n")
    assert await sender.outcome() > 1
    assert received == sent


async def test_what_the_taker_raises_is_raised_where_it_waits(send: Send) -> None:
    def take(data: bytes) -> bool:
        raise LookupError(f"{data!r} is not wanted")

    sender = await send(lambda body: pour(body, take))
    await sender.chunk(b"abc")
    with pytest.raises(LookupError, match="abc"):
        await sender.outcome()


async def test_a_client_that_leaves_cuts_the_body_behind_what_came(send: Send) -> None:
    received: list[bytes] = []
    has_come = asyncio.Event()

    def take(data: bytes) -> bool:
        received.append(data)
        has_come.set()
        return True

    sender = await send(lambda body: pour(body, take))
    await sender.chunk(b"abc")
    async with asyncio.timeout(60):
        await has_come.wait()
    sender.writer.close()
    with pytest.raises(BodyCut):
        await sender.outcome()
    assert received == [b"abc"]


async def test_who_gives_up_leaves_the_rest_to_the_next(send: Send) -> None:
    async def taker(body: AsyncIterator[bytes]) -> bytes:
        first = asyncio.create_task(pour_all(body))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gone_on.set()
        return b"".join([data async for data in body])

    async def pour_all(body: AsyncIterator[bytes]) -> bool:
        return await pour(body, lambda _: True)

    gone_on = asyncio.Event()
    sender = await send(taker)
    async with asyncio.timeout(60):
        await gone_on.wait()
    await sender.chunk(b"abc")
    sender.writer.write(b"0\r\n\r\n")
    assert await sender.outcome() == b"abc"


@pytest.mark.parametrize("pieces", [16384, 16385, 16386])
async def test_a_body_in_more_pieces_than_are_held_comes_whole_though_read_late(
    send: Send, pieces: int
) -> None:
    """Reading pauses at so many pieces, and the last of them may be the last that has come."""
    received = bytearray()

    async def taker(body: AsyncIterator[bytes]) -> int:
        assert isinstance(body, RequestBody)
        while body._content.total_bytes < pieces:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        is_late.set()
        await pour(body, take)
        return len(received)

    def take(data: bytes) -> bool:
        received.extend(data)
        return True

    is_late = asyncio.Event()
    sender = await send(taker)
    sender.writer.write(b"1\r\nx\r\n" * pieces)
    async with asyncio.timeout(60):
        await is_late.wait()
    sender.writer.write(b"5\r\nhello\r\n0\r\n\r\n")
    assert await sender.outcome() == pieces + 5
