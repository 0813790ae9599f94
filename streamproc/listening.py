"""Where the API listens: its socket, its URL, and what must hold before it may.

One door, where server.host and server.port say, with TLS if there is a certificate. Knows no
services.
"""

import ipaddress
import logging
import resource
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from streamproc.certificate import Certificate
from streamproc.config import Config
from streamproc.errors import ConfigError, StreamprocError
from streamproc.settings import ServerConfig, is_endpoint_url

log = logging.getLogger(__name__)

_WILDCARDS = {"", "0.0.0.0", "::"}
_BACKLOG = 256
# Databases, models, recordings and what else the process opens besides connections.
_OTHER_FILES = 1024


@dataclass(frozen=True, slots=True)
class Door:
    """A socket that is bound, and how it is reached."""

    listener: socket.socket
    url: str  # what clients are told
    certificate: Certificate | None


def refusal(config: Config, addresses: Iterable[str], usable_keys: int) -> str:
    """Why the daemon must not start, with the remedy; "" if it may.

    addresses are those that server.host stands for, usable_keys the keys that could sign a
    request now. Nobody is let in by an oversight: what is open to other machines is said twice.
    """
    host = config.server.host
    if is_loopback(addresses):
        return ""
    if not config.auth.required:
        return (
            f"server.host {host} is reachable from other machines and auth.required is false, so "
            "that everybody could do everything; set auth.required = true, or listen on 127.0.0.1"
        )
    if usable_keys == 0:
        return (
            f"server.host {host} is reachable from other machines and there is no key to verify "
            "them by; make one with: streamproc keys create"
        )
    if not config.tls.certificate_file and not config.server.plain_http_beyond_loopback:
        return (
            f"server.host {host} is reachable from other machines and there is no certificate; "
            "set tls.certificate_file, or server.plain_http_beyond_loopback = true if a proxy in "
            "front speaks TLS"
        )
    return ""


def is_loopback(addresses: Iterable[str]) -> bool:
    """Whether only this machine reaches all of them (127.0.0.0/8, ::1)."""
    parsed = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    return bool(parsed) and all(address.is_loopback for address in parsed)


def addresses_of(host: str) -> list[str]:
    """What a host stands for, the address to listen on first. Raises StreamprocError."""
    if host in _WILDCARDS:
        return [host or "0.0.0.0"]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StreamprocError(
            f"server.host {host} is no address of this machine ({error}); "
            "choose another with --host"
        ) from None
    # As ever: a name that stands for both is listened on at its IPv4 address.
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return [str(info[4][0]) for info in found]


@contextmanager
def open_door(config: Config, usable_keys: int) -> Iterator[Door]:
    """Bind, so that what forbids it is known before anything is loaded.

    usable_keys: how many keys could sign a request now. Raises StreamprocError (ConfigError
    for certificates), in one line with the remedy.
    """
    addresses = addresses_of(config.server.host)
    if reason := refusal(config, addresses, usable_keys):
        raise ConfigError(reason)
    if config.auth.required and usable_keys == 0:
        log.warning("there is no key, so nobody can sign; make one with: streamproc keys create")
    certificate = Certificate(config.tls) if config.tls.certificate_file else None
    _allow_files(config.server.connections_max)
    with _bind(addresses[0], config.server.port) as listener:
        url = _public_url(config.server, listener, "https" if certificate else "http")
        yield Door(listener, url, certificate)


def _bind(address: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StreamprocError(
            f"cannot listen on {address}:{port} ({error.strerror or error}); "
            "stop what is using it, or choose another with --port"
        ) from None
    listener.setblocking(False)
    return listener


def _public_url(server: ServerConfig, listener: socket.socket, scheme: str) -> str:
    """What others are told. Listening everywhere, only the machine's name is not a guess of
    one network among several."""
    if server.public_url:
        return server.public_url.rstrip("/")
    if listener.getsockname()[0] not in _WILDCARDS:
        return _url(scheme, listener)
    url = f"{scheme}://{socket.gethostname()}:{listener.getsockname()[1]}"
    if not is_endpoint_url(url):
        raise ConfigError(
            f"server.host {server.host} names no host, and this machine's name is none that "
            "clients accept; set server.public_url to how they reach it"
        )
    log.warning("clients are told %s; if they reach it otherwise, set server.public_url", url)
    return url


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _allow_files(connections_max: int) -> None:
    """Raise this process's limit of open files as far as needed: many systems begin at 1024."""
    needed = connections_max + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except OSError:  # a filter of system calls
        allowed = soft
    if allowed < needed:
        log.warning(
            "server.connections_max %s needs %s open files and only %s are allowed; raise the "
            "limit (ulimit -n, LimitNOFILE), or lower it", connections_max, needed, allowed,
        )  # fmt: skip
