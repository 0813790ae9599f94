"""Who comes in: the protocol between the gateway and whoever verifies signatures.

Knows what of a request a signature covers; knows no keys, policies or operations.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from streamproc.gateway.errors import AccessDenied
from streamproc.gateway.words import shown
from streamproc.model.caller import ANYONE, Caller


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What is known of a request before its body is read. Nothing is decoded or normalised:
    a signature covers the bytes as they were sent."""

    method: str
    raw_path: str
    raw_query: str
    headers: Sequence[tuple[str, str]]  # as received, in order; names of any case, repeats kept


class Admission(Protocol):
    """A signature that is right as far as the head tells."""

    def with_body(self, body: bytes | None) -> Caller:
        """The caller, once the whole body is known; None for a body that is a stream, which
        only operations that stream may leave unsigned. Raises ServiceError."""
        ...


class Doorkeeper(Protocol):
    """Decides who comes in."""

    async def admit(self, head: RequestHead, signing_name: str, *, streams: bool) -> Admission:
        """Everything that can be refused before the body is read, is: unsigned, unknown or
        revoked key, stale, of another service. signing_name is the service's, as credential
        scopes have it; streams says that the operation's payload is a stream. Raises
        ServiceError."""
        ...


class OpenDoor:
    """The doorkeeper where signatures are not verified. Loopback only.

    Keeps out what a browser on this machine sends for pages of others, who can make their
    page's name stand for 127.0.0.1 (DNS rebinding). Browsers name the page with every POST
    (Origin, fetch standard), and every operation is one. With a GET of what is served beside
    the operations they name it as the Host, and say whether another site's page asks
    (Sec-Fetch-Site), which could not read the answer but keep it coming.
    Pages of public_url's host are ours: whoever runs us has put a proxy there.
    """

    def __init__(self, public_url: str = "") -> None:
        self._public_host = _host_of(public_url)

    async def admit(
        self,
        head: RequestHead,
        signing_name: str,  # noqa: ARG002
        *,
        streams: bool,  # noqa: ARG002
    ) -> Admission:
        for name, value in head.headers:
            match name.lower():
                case "origin" if not self._is_ours(_host_of(value)):
                    raise _not_ours(f"Web pages of '{shown(value)}'")
                case "host" if head.method != "POST" and not self._is_ours(_host_of(f"//{value}")):
                    raise _not_ours(f"Web pages of '{shown(value)}'")
                case "sec-fetch-site" if head.method != "POST" and value == "cross-site":
                    raise _not_ours("Web pages of others")
        return _OPEN

    def _is_ours(self, host: str) -> bool:
        if host and host in ("localhost", self._public_host):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


class _Open:
    def with_body(self, body: bytes | None) -> Caller:  # noqa: ARG002
        return ANYONE


_OPEN = _Open()


def _not_ours(who: str) -> AccessDenied:
    return AccessDenied(
        f"{who} may not call while nobody is asked for a key; open the page on localhost, set "
        "server.public_url to the name that you reach it by, or set auth.required = true and sign."
    )


def _host_of(url: str) -> str:
    """In lower case and without its port; "" where there is none to read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
