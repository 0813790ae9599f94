"""Opaque pagination tokens: a position, bound to the question it continues.

Pure. The kind names the operation and every argument that decides what is listed; it is
hashed into the token, not stored, so tokens stay short. The digest finds damage and mix-ups;
it is no secret, for a position gives nothing away, so what a token holds is looked at before it
is used. Tokens survive a restart.
"""

import binascii
import hashlib
import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from streamproc.gateway.errors import InvalidPaginationToken

PAGE_DEFAULT = 1000
"""Items per page where MaxResults is absent, or 0 where the model allows that."""

_DIGEST_BYTES = 12


def encode_token(kind: str, payload: Any) -> str:
    """A token for this payload (anything JSON holds).

    Its length is about 4/3 of the payload's JSON, plus 16.
    """
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    return urlsafe_b64encode(_digest(kind, body) + body).decode()


def decode_token(kind: str, token: str, *types: type) -> Any:
    """The payload: a value of the type, or a list of as many as there are types.

    Raises InvalidPaginationToken unless encode_token gave this token for the same kind, or might
    have: anybody can make up a digest.
    """
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        raise _invalid(token) from None
    digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    # The decoder skips characters that are not base64; what it skipped was tampered with.
    if digest != _digest(kind, body) or urlsafe_b64encode(raw).decode() != token:
        raise _invalid(token)
    try:
        payload = json.loads(body)
        values = payload if len(types) > 1 else [payload]
        whole = [type(value) for value in values] == list(types) and all(map(_is_storable, values))
    except (ValueError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise _invalid(token)
    return payload


def _is_storable(value: Any) -> bool:
    """Whether a database takes it."""
    match value:
        case int():
            return abs(value) < 1 << 63
        case float():
            return math.isfinite(value)
    return isinstance(value, str) and value.isprintable()


def _digest(kind: str, body: bytes) -> bytes:
    return hashlib.blake2b(kind.encode() + b"\0" + body, digest_size=_DIGEST_BYTES).digest()


def _invalid(token: str) -> InvalidPaginationToken:
    return InvalidPaginationToken(
        f"Invalid Pagination Token: NextToken {token[:80]!r} was not given by this operation for "
        "these arguments. Repeat the arguments of the first page, or start without NextToken."
    )
