"""The doorkeeper that lets in whom a signature proves: a known key, this request, now.

Knows the order in which a request is refused and the words for it, which are AWS's. Where keys
come from is the key ring's matter; whether a signature is of a request is sigv4.py's.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from botocore.auth import EMPTY_SHA256_HASH, SIGV4_TIMESTAMP

from streamproc.clock import Clock
from streamproc.gateway.door import RequestHead
from streamproc.gateway.errors import ExpiredToken, InvalidSignature, UnrecognizedClient
from streamproc.gateway.sigv4 import (
    MISMATCH,
    SignedRequest,
    hash_of,
    is_true,
    read_signed,
    stated_hash,
    stream_hash,
)
from streamproc.model.caller import Caller

_NOBODYS_SECRET = "0" * 40


class KeyView(Protocol):
    """A key that is not revoked, as the doorkeeper sees it."""

    @property
    def secret(self) -> str: ...

    @property
    def caller(self) -> Caller: ...

    @property
    def is_temporary(self) -> bool:
        """Whether it has a session token."""
        ...

    @property
    def expires_at(self) -> float | None:
        """Seconds since the epoch; None for a key that lasts."""
        ...

    def has_token(self, token: str) -> bool:
        """Whether this is its session token ("" where it has none), in constant time."""
        ...


class KeyRing(Protocol):
    async def find(self, access_key_id: str) -> KeyView | None:
        """None for a key that does not exist or is revoked; as of now, not of some time ago."""
        ...


class SignatureDoorkeeper:
    """Verifies Signature Version 4. skew_s is how old or new a signature may be."""

    def __init__(self, keyring: KeyRing, clock: Clock, skew_s: float) -> None:
        self._keyring = keyring
        self._clock = clock
        self._skew_s = skew_s

    async def admit(self, head: RequestHead, signing_name: str, *, streams: bool) -> "_Admission":
        """See door.Doorkeeper. A signature that can be verified without the body is."""
        request = read_signed(head)
        if request.signature.scope.service != signing_name:
            raise InvalidSignature(
                f"Credential should be scoped to correct service: '{signing_name}'."
            )
        self._check_time(request)
        body_hash = stream_hash(request) if streams else stated_hash(request)
        key = await self._find_key(request, body_hash)
        if body_hash is not None:
            _check(request, key, body_hash)
        return _Admission(request, key, body_hash, streams)

    def _check_time(self, request: SignedRequest) -> None:
        now, signed_at = self._clock.now(), request.signed_at
        skew = f"{self._skew_s / 60:g} min."
        if signed_at > now + self._skew_s:
            raise InvalidSignature(
                f"Signature not yet current: {request.timestamp} is still later than "
                f"{_written(now + self._skew_s)} ({_written(now)} + {skew})."
            )
        if request.expires_s is None and signed_at < now - self._skew_s:
            raise InvalidSignature(
                f"Signature expired: {request.timestamp} is now earlier than "
                f"{_written(now - self._skew_s)} ({_written(now)} - {skew})."
            )
        if request.expires_s is not None and signed_at + request.expires_s < now:
            raise InvalidSignature(
                f"Signature expired: {request.timestamp} + {request.expires_s} s "
                f"(X-Amz-Expires) is now earlier than {_written(now)}."
            )

    async def _find_key(self, request: SignedRequest, body_hash: str | None) -> KeyView:
        """The key, if its signature would count. Raises UnrecognizedClient or ExpiredToken."""
        key = await self._keyring.find(request.signature.scope.access_key_id)
        if key is None:
            # An unknown key takes as long as a known one with a wrong secret.
            is_true(request, _NOBODYS_SECRET, body_hash or EMPTY_SHA256_HASH)
        if key is None or not key.has_token(request.token):
            raise UnrecognizedClient("The security token included in the request is invalid.")
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            if key.is_temporary:
                raise ExpiredToken("The security token included in the request is expired.")
            raise UnrecognizedClient("The security token included in the request is invalid.")
        return key


@dataclass(frozen=True, slots=True)
class _Admission:
    request: SignedRequest
    key: KeyView
    body_hash: str | None  # what the signature has been verified with; None: not yet
    streams: bool

    def with_body(self, body: bytes | None) -> Caller:
        if body is None and not self.streams:
            raise InvalidSignature(MISMATCH)
        if body is not None:
            received = hash_of(body)
            if self.body_hash is None:
                _check(self.request, self.key, received)
            elif not hmac.compare_digest(self.body_hash, received):
                raise InvalidSignature(
                    "The provided 'x-amz-content-sha256' header does not match what was computed."
                )
        return self.key.caller


def _check(request: SignedRequest, key: KeyView, body_hash: str) -> None:
    if not is_true(request, key.secret, body_hash):
        raise InvalidSignature(MISMATCH)


def _written(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime(SIGV4_TIMESTAMP)
