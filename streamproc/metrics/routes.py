"""/metrics, /healthz and /readyz, for those who watch the daemon.

Whether it lives and whether it is ready is told to everybody, since whoever asks (a load
balancer, a container's probe) cannot sign; why it is not, and all figures, to those who may know:
with auth.required a bearer token (figures alone) or a signature, else whoever sits at this
machine. Knows the Gate only as a protocol.
"""

import asyncio
import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from aiohttp import web

from streamproc.errors import ConfigError
from streamproc.gateway.calls import told_of
from streamproc.gateway.errors import AccessDenied, ServiceError
from streamproc.gateway.faults import error_reply
from streamproc.health import Check, failing
from streamproc.metrics.sources import Sources
from streamproc.model.caller import Caller, Right
from streamproc.settings import MetricsConfig

RIGHT: Final = Right("rekognition:DescribeStreamproc", "*")
"""What a signature needs: figures and checks say no more than that operation and the lists."""

_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_TOKEN_BYTES_MIN: Final = 16

Scrape: TypeAlias = Callable[[Sources, str], Awaitable[tuple[bytes, str]]]


class Gate(Protocol):
    """Who comes in."""

    async def admit(self, request: web.Request, *rights: Right) -> Caller:
        """Raises ServiceError for who may not."""
        ...


class Token:
    """The bearer token of whoever scrapes; none if neither setting is given."""

    def __init__(self, config: MetricsConfig) -> None:
        """Raises ConfigError for a file that cannot be read and for a token that is too
        short."""
        self._token = config.token
        self._file = Path(config.token_file).expanduser() if config.token_file else None
        if self._token and self._file:
            raise ConfigError("metrics.token and metrics.token_file are both set; keep one")
        found = self._read()
        if (self._token or self._file) and len(found) < _TOKEN_BYTES_MIN:
            raise ConfigError(
                f"{'metrics.token_file' if self._file else 'metrics.token'} holds "
                f"{len(found)} bytes, and a token has {_TOKEN_BYTES_MIN} at least; make one "
                "with: openssl rand -hex 32"
            )

    def wanted(self) -> bytes:
        """Read anew, so that it can be changed; b"" where it cannot be read. Blocks, for as long
        as the disk hangs."""
        try:
            return self._read()
        except ConfigError:
            return b""

    def _read(self) -> bytes:
        if self._file is None:
            return self._token.encode()
        try:
            return self._file.read_bytes().strip()
        except OSError as error:
            raise ConfigError(
                f"metrics.token_file {self._file} cannot be read ({error.strerror})"
            ) from None


def bears(authorization: str, wanted: bytes) -> bool:
    """Whether the Authorization header bears this token. No token lets nobody in."""
    scheme, _, told = authorization.partition(" ")
    given = told.strip().encode("utf-8", "surrogateescape")
    is_long_enough = len(wanted) >= _TOKEN_BYTES_MIN
    return scheme.lower() == "bearer" and is_long_enough and hmac.compare_digest(given, wanted)


def add_routes(
    app: web.Application,
    sources: Sources,
    config: MetricsConfig,
    gate: Gate,
    *,
    asks_for_keys: bool,
) -> None:
    """Into an application that has not started. asks_for_keys: auth.required. Raises ConfigError
    for a token that cannot be used."""
    watching = _Watching(sources, gate, Token(config) if asks_for_keys else None)
    app.router.add_get("/healthz", watching.healthz)
    app.router.add_get("/readyz", watching.readyz)
    if config.enabled:
        app.router.add_get("/metrics", watching.metrics)


class _Watching:
    def __init__(self, sources: Sources, gate: Gate, token: Token | None) -> None:
        self._sources = sources
        self._gate = gate
        self._token = token
        self._scraping = asyncio.Lock()  # one at a time: each takes a thread and some memory

    async def healthz(self, _: web.Request) -> web.Response:
        """The process answers and its loop turns; that is all it takes."""
        return web.Response(text="ok\n", headers=_NO_STORE)

    async def readyz(self, request: web.Request) -> web.Response:
        try:
            await self._gate.admit(request, RIGHT)
        except ServiceError:
            in_words = False
        else:
            in_words = True
        checks = await self._sources.health.checks()
        return _readiness(checks, in_words=in_words)

    async def metrics(self, request: web.Request) -> web.Response:
        try:
            await self._admit(request)
            async with self._scraping:
                scraped = await asyncio.to_thread(_scrape)
                accept = request.headers.get("Accept", "")
                body, content_type = await scraped(self._sources, accept)
        except Exception as error:
            return _refused(error)
        return web.Response(body=body, headers={"Content-Type": content_type, **_NO_STORE})

    async def _admit(self, request: web.Request) -> None:
        told = request.headers.get("Authorization", "")
        if self._token is not None and told.lower().startswith("bearer"):
            read = partial(asyncio.to_thread, self._token.wanted)
            if bears(told, await self._sources.health.ask("the token of metrics", read)):
                return
            raise AccessDenied("This bearer token is not that of metrics.token(_file).")
        await self._gate.admit(request, RIGHT)


def _readiness(checks: Sequence[Check], *, in_words: bool) -> web.Response:
    stopping = failing(checks, vital=True)
    others = [check for check in failing(checks) if not check.vital]
    told = {
        "Ready": not stopping,
        "Failing": [_told(check, in_words=in_words) for check in stopping],
        "Warnings": [_told(check, in_words=in_words) for check in others],
    }
    return web.json_response(told, status=503 if stopping else 200, headers=_NO_STORE, dumps=_dumps)


def _told(check: Check, *, in_words: bool) -> dict[str, str]:
    return {"Name": check.name, **({"Message": check.message} if in_words else {})}


def _dumps(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"  # people ask with curl


def _scrape() -> Scrape:
    # It brings prometheus_client, which nobody waits for who does not scrape.
    from streamproc.metrics.exposition import scraped

    return scraped


def _refused(error: Exception) -> web.Response:
    request_id = str(uuid.uuid4())
    reply = error_reply(told_of(error, "GET /metrics", None, request_id), None, request_id)
    assert isinstance(reply.body, bytes)
    return web.Response(
        status=reply.status, headers={**reply.headers, **_NO_STORE}, body=reply.body
    )
