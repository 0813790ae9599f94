"""Pagination tokens: opaque, and good for one question only."""

from typing import Any

import pytest

from streamproc.api.paging import decode_token, encode_token
from streamproc.gateway.errors import InvalidPaginationToken


@pytest.mark.parametrize("payload", [0, 12345, "6f0b5c0e", ["ä", 1, None], {"a": {"b": 1.5}}])
def test_a_token_gives_back_its_payload_to_its_own_kind_only(payload: Any) -> None:
    token = encode_token("ListThings eu-west-1", payload)
    assert decode_token("ListThings eu-west-1", token) == payload
    for kind, changed in (("ListThings us-west-2", token), ("ListThings eu-west-1", token[::-1])):
        with pytest.raises(InvalidPaginationToken, match="start without NextToken"):
            decode_token(kind, changed)
