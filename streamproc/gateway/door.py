"""Who comes in: the protocol between the gateway and whoever verifies signatures.

Knows what of a request a signature covers; knows no keys, policies or operations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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
    """The doorkeeper where signatures are not verified. Loopback only."""

    async def admit(
        self,
        head: RequestHead,  # noqa: ARG002
        signing_name: str,  # noqa: ARG002
        *,
        streams: bool,  # noqa: ARG002
    ) -> Admission:
        return _OPEN


class _Open:
    def with_body(self, body: bytes | None) -> Caller:  # noqa: ARG002
        return ANYONE


_OPEN = _Open()
