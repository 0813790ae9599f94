"""A URL as the target of an outlet: each event is POSTed as JSON, signed if there is a secret.

Knows what an HTTP answer means for an event; when it is tried again is outlet.py's. What is
after the host in a URL may be a secret, and is never told.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from streamproc import __version__
from streamproc.clock import Clock
from streamproc.events.ports import NotTaken, Refused
from streamproc.model.event import Event
from streamproc.settings import WebhookConfig

if TYPE_CHECKING:
    import aiohttp

TRIES_MAX: Final = 5
"""An event that was refused this often, with a status that trying again does not heal, is passed
over."""

_IDLE_S: Final = 3.0  # less than servers keep a connection that says nothing: many do for 5 s

# Refusals that may heal: timeout, too early, too many requests (RFC 9110, 8470, 6585).
_HEALING: Final = {408, 425, 429}


class WebhookTarget:
    """Implements ports.Target and ports.Session."""

    kind = "webhook"
    connects = False

    def __init__(self, config: WebhookConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._tries: tuple[int, int] = (0, 0)  # an event's id, how often it was refused

    def wants(self, event: Event) -> bool:
        config = self._config
        return event.kind.value in config.events and (
            not config.processors or event.processor in config.processors
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator["WebhookTarget"]:
        import aiohttp

        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_IDLE_S),
            timeout=aiohttp.ClientTimeout(total=self._config.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"streamproc/{__version__}"},
        ) as self._http:
            yield self

    async def attend(self) -> None:
        """A hook that goes away shows when something is posted."""
        await asyncio.Event().wait()

    async def deliver(self, event: Event) -> None:
        status = await self._post(event)
        if 200 <= status < 300:
            return
        place = masked(self._config.url)
        if status >= 500 or status in _HEALING:
            raise NotTaken(f"{place} answers {status}")
        why = "is redirected, and is not followed; see its url" if status < 400 else "is refused"
        refused_id, tries = self._tries
        tries = tries + 1 if refused_id == event.id else 1
        self._tries = (event.id, tries)
        if tries < TRIES_MAX:
            raise NotTaken(f"{place} answers {status}: what is posted {why}")
        raise Refused(f"{place} answered {status} {tries} times: what is posted {why}")

    async def _post(self, event: Event) -> int:
        """The status of the answer, whose body nobody reads. Raises NotTaken."""
        import aiohttp

        body = json.dumps(event.members, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Streamproc-Event": event.kind.value,
            "X-Streamproc-Id": str(event.id),
        }
        if self._config.secret:
            timestamp = str(int(self._clock.now()))
            headers["X-Streamproc-Timestamp"] = timestamp
            headers["X-Streamproc-Signature"] = signature(self._config.secret, timestamp, body)
        posting = self._http.post(
            self._config.url, data=body, headers=headers, allow_redirects=False
        )
        try:
            async with posting as answer:
                return answer.status
        except TimeoutError:
            raise NotTaken(
                f"{masked(self._config.url)} has not answered in {self._config.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTaken(f"no answer from {masked(self._config.url)}: {_reason(error)}") from None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The header X-Streamproc-Signature: HMAC-SHA256, keyed with the secret, over the header
    X-Streamproc-Timestamp, a dot, and the body as it was sent."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def masked(url: str) -> str:
    """The URL without what may be a secret: a login, its path, its query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/{'***' if parts.path.strip('/') or parts.query else ''}"


def _reason(error: "aiohttp.ClientError | OSError | ValueError") -> str:
    """Its text where that does not repeat the URL."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):  # says host and port
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
