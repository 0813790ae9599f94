"""Pagination tokens: opaque, and good for one question only."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from streamproc.api import paging
from streamproc.api.paging import decode_token, encode_token
from streamproc.gateway.errors import InvalidPaginationToken

KIND = "ListThings eu-west-1"


@pytest.mark.parametrize(
    ("payload", "types"),
    [(0, [int]), (12345, [int]), ("6f0b5c0e", [str]), ([1.5, "ä"], [float, str])],
)
def test_a_token_gives_back_its_payload_to_its_own_kind_only(
    payload: Any, types: list[type]
) -> None:
    token = encode_token(KIND, payload)
    assert decode_token(KIND, token, *types) == payload
    for kind, changed in (("ListThings us-west-2", token), (KIND, token[::-1])):
        with pytest.raises(InvalidPaginationToken, match="start without NextToken"):
            decode_token(kind, changed, *types)


@pytest.mark.parametrize("types", [[int], [str], [float, str]])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b"", b"{}", b"null", b"true", b"5.5", b"[1]", b"[1.5]", b'[1.5, "a", 1]',
        b"1" + b"0" * 5000, b"9223372036854775808", b"[NaN, 5]", b'["a", 1.5]', b'"\\ud800"',
        b'[Infinity, "a"]', b'"\\u0000"', b"\xff",
    ],
)  # fmt: skip
def test_a_forged_token_with_a_right_digest_is_refused_like_any_other(
    body: bytes, types: list[type]
) -> None:
    token = urlsafe_b64encode(paging._digest(KIND, body) + body).decode()
    with pytest.raises(InvalidPaginationToken):
        decode_token(KIND, token, *types)
