"""A token is opened only by who sealed it, for what it was sealed, and in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.local.kinesis_data.tokens import TokenError, TokenExpired, Tokens

TOKENS = Tokens(b"secret")
SEALED = TOKENS.seal("iterator", [7, 41], 1000.0)


def test_a_token_gives_back_what_was_sealed_even_to_a_new_process() -> None:
    assert Tokens(b"secret").open("iterator", SEALED, 1300.0, 300.0) == [7, 41]


def test_a_token_ends_after_its_time() -> None:
    with pytest.raises(TokenExpired) as expired:
        TOKENS.open("iterator", SEALED, 1300.1, 300.0)
    assert expired.value.issued_s == 1000.0


@given(st.integers(0, len(SEALED) - 1), st.characters(max_codepoint=127))
def test_a_changed_token_is_refused(place: int, character: str) -> None:
    changed = SEALED[:place] + character + SEALED[place + 1 :]
    if changed == SEALED:
        return
    with pytest.raises(TokenError):
        TOKENS.open("iterator", changed, 1000.0, 300.0)


@given(st.text())
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        TOKENS.open("iterator", text, 1000.0, 300.0)


def test_a_token_of_another_kind_or_another_service_is_refused() -> None:
    with pytest.raises(TokenError):
        TOKENS.open("ListShards", SEALED, 1000.0, 300.0)
    with pytest.raises(TokenError):
        Tokens(b"other").open("iterator", SEALED, 1000.0, 300.0)
