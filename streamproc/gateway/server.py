"""Connections: accepted, counted, encrypted, and watched while they last.

Accepts by itself, because asyncio's servers count nothing, keep one certificate for ever, and
hold a client that never ends its handshake for a minute. What flows on a connection is
connection.py's, what is answered the application's.
"""

import asyncio
import errno
import ipaddress
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiohttp import web

from streamproc.gateway.connection import Connection, ConnectionLimits
from streamproc.gateway.errors import ServiceError, TooManyConnections
from streamproc.gateway.faults import error_reply
from streamproc.settings import ServerConfig

log = logging.getLogger(__name__)

_HANDSHAKE_S_MAX: Final = 10.0
_CHECK_S: Final = 1.0
# Pause of a process that has no file descriptor left to accept with.
_EXHAUSTED_S: Final = 1.0
# An attacker must not fill the log with refusals.
_TOLD_AGAIN_S: Final = 60.0


class Server:
    """Serves one application where it is told to listen."""

    def __init__(self, app: web.Application, config: ServerConfig) -> None:
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        self._config = config
        self._limits = ConnectionLimits(config.header_bytes_max, config.body_timeout_s)
        self._clients: Counter[str] = Counter()  # open connections by who counts as one client
        self._connections: set[Connection] = set()
        self._accepting: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._told_at = -_TOLD_AGAIN_S

    async def start(self) -> None:
        await self._runner.setup()
        _spawn(self._watch(), self._accepting)

    def listen(
        self,
        listener: socket.socket,
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Accept from now on. tls gives the context of the next handshake. Takes no ownership of
        the socket, which must not block."""
        _spawn(self._accept(listener, tls), self._accepting)

    async def aclose(self) -> None:
        """Accept no more, end streams, let requests finish for a moment, close the rest."""
        # In this order every opening task has begun, and closes the socket it was given.
        for tasks in (self._accepting, self._opening):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._runner.cleanup()

    async def _accept(
        self, listener: socket.socket, tls: Callable[[], ssl.SSLContext] | None
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)  # sock_accept does not wait while somebody is at the door
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno != errno.ECONNABORTED:
                    self._tell(f"no connection can be accepted ({error.strerror or error})")
                    await asyncio.sleep(_EXHAUSTED_S)
                continue
            client = client_of(address[0])
            if refusal := self._refusal(client):
                self._tell(f"{address[0]} was refused: {refusal}")
                _refuse(sock, refusal, is_plain=tls is None)
                continue
            self._clients[client] += 1
            _spawn(self._open(sock, client, tls), self._opening)

    async def _open(
        self, sock: socket.socket, client: str, tls: Callable[[], ssl.SSLContext] | None
    ) -> None:
        """Carry a connection to where aiohttp has it, through its handshake."""
        made: list[Connection] = []

        def leave() -> None:
            self._connections.discard(made[0])
            self._count_out(client)

        def make() -> Connection:
            assert self._runner.server is not None
            made.append(Connection(self._runner.server, self._limits, leave))
            return made[0]

        options = {"ssl_handshake_timeout": _HANDSHAKE_S_MAX, "ssl_shutdown_timeout": 2.0}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make, sock, ssl=tls() if tls else None, **(options if tls else {})
            )
            if made[0].is_open:
                self._connections.add(made[0])
        except OSError as error:  # ssl.SSLError is one
            log.debug("a connection was not made: %s", error)
        except Exception:
            log.exception("a connection was not made")
        finally:
            if not made:
                sock.close()
            if not made or not made[0].was_made:
                self._count_out(client)  # it will not tell by itself

    def _refusal(self, client: str) -> str:
        """Why one more connection of a client is too many; "" if it is not."""
        open_max, of_client_max = (
            self._config.connections_max,
            self._config.connections_per_client_max,
        )
        if self._clients.total() >= open_max:
            return f"{open_max} connections are open, as many as may be (server.connections_max)."
        if self._clients[client] >= of_client_max and not is_exempt(client):
            return (
                f"{of_client_max} connections of {client} are open, as many as one client may "
                "have (server.connections_per_client_max)."
            )
        return ""

    def _count_out(self, client: str) -> None:
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_CHECK_S)
            now = loop.time()
            for connection in list(self._connections):
                try:
                    connection.check(now)
                except Exception:  # of one connection; the others are watched on
                    log.exception("a connection cannot be watched; closed")
                    connection.force_close()

    def _tell(self, message: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _TOLD_AGAIN_S:
            self._told_at = now
            log.warning("%s", message)


def client_of(address: str) -> str:
    """Who counts as one client: an IPv4 address, or the /64 of an IPv6 one, since whoever has
    one of its addresses has them all."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def is_exempt(client: str) -> bool:
    """This machine's own processes stand behind one address, a proxy's clients too."""
    return ipaddress.ip_network(client).is_loopback


def _refuse(sock: socket.socket, message: str, *, is_plain: bool) -> None:
    """Say why if that costs nothing; clients of AWS try again later in any case."""
    error: ServiceError = TooManyConnections(message)
    body = error_reply(error, None, "").body
    assert isinstance(body, bytes)
    head = (
        f"HTTP/1.1 {error.status} {error.code}\r\nConnection: close\r\nRetry-After: 1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with sock:
        if is_plain:
            try:
                sock.send(head.encode() + body)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                return


def _spawn(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
