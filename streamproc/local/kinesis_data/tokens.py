"""Shard iterators and paging tokens: opaque to the client, readable to us, forged by nobody.

Everything a token means is inside it, so a restart forgets none. A keyed digest refuses what
we did not write. Knows nothing of streams.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

_DIGEST_BYTES = 16


class TokenError(Exception):
    """The text is not a token of this kind that this service wrote."""


class TokenExpired(Exception):
    """The token is older than allowed."""

    def __init__(self, issued_s: float) -> None:
        super().__init__(f"token of {issued_s} is expired")
        self.issued_s = issued_s


class Tokens:
    """Seals small JSON values under a secret key; kind keeps the uses apart."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, kind: str, value: Any, now: float) -> str:
        body = json.dumps([value, now], separators=(",", ":")).encode()
        return base64.b64encode(self._digest(kind, body) + body).decode()

    def open(self, kind: str, token: str, now: float, age_s_max: float) -> Any:
        """The sealed value. Raises TokenError or TokenExpired."""
        try:
            raw = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError):
            raise TokenError from None
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if base64.b64encode(raw).decode() != token:
            raise TokenError  # base64 has spare bits; a token has one spelling
        if not hmac.compare_digest(digest, self._digest(kind, body)):
            raise TokenError
        value, issued_s = json.loads(body)
        if now - issued_s > age_s_max:
            raise TokenExpired(issued_s)
        return value

    def _digest(self, kind: str, body: bytes) -> bytes:
        message = kind.encode() + b"\0" + body
        return hmac.digest(self._secret, message, hashlib.sha256)[:_DIGEST_BYTES]
