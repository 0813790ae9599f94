import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.gateway.errors import IncompleteSignature
from streamproc.gateway.scope import SigningScope, find_scope

SCOPE = SigningScope("AKIDEXAMPLE", "eu-west-1", "kinesisvideo")
CREDENTIAL = "AKIDEXAMPLE/20260131/eu-west-1/kinesisvideo/aws4_request"
HEADER = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=5d"
QUERY = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": CREDENTIAL,
    "X-Amz-Date": "20260131T120000Z",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "5d",
}


def test_a_header_and_a_presigned_query_name_the_same_scope() -> None:
    assert find_scope(HEADER, {}) == SCOPE
    assert find_scope(None, QUERY) == SCOPE


def test_spaces_behind_commas_are_a_matter_of_taste() -> None:
    assert find_scope(HEADER.replace(", ", ","), {}) == SCOPE


def test_an_access_key_id_may_hold_a_slash() -> None:
    scope = find_scope(HEADER.replace("AKIDEXAMPLE", "team/one"), {})
    assert scope is not None
    assert scope.access_key_id == "team/one"


def test_a_request_without_signature_has_no_scope() -> None:
    assert find_scope(None, {"StreamName": "front-door"}) is None


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "algorithm"),
        ("Bearer abc", "'Bearer'"),
        ("AWS AKIDEXAMPLE:c2ln", "'AWS'"),
        (HEADER.replace("Credential=", "Creds="), "lacks Credential"),
        (HEADER.replace("Signature=5d", "Signature="), "lacks Signature"),
        (HEADER.replace("SignedHeaders", "Headers"), "lacks SignedHeaders"),
        (HEADER.replace("eu-west-1/", ""), "ACCESS_KEY_ID/YYYYMMDD"),
        (HEADER.replace("eu-west-1", "../../etc"), "ACCESS_KEY_ID/YYYYMMDD"),
        (HEADER.replace("eu-west-1", "eu\nwest"), "eu\\nwest"),
        (HEADER.replace("20260131", "2026-01-31"), "2026-01-31"),
        (HEADER.replace("aws4_request", "aws5_request"), "aws5_request"),
    ],
)
def test_a_malformed_header_is_refused_in_plain_words(header: str, words: str) -> None:
    with pytest.raises(IncompleteSignature) as refused:
        find_scope(header, {})
    assert words in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("missing", [name for name in QUERY if name != "X-Amz-Date"])
def test_half_a_presigned_query_is_refused_by_the_name_of_what_is_missing(missing: str) -> None:
    query = {name: value for name, value in QUERY.items() if name != missing}
    with pytest.raises(IncompleteSignature, match=missing):
        find_scope(None, query)


@given(st.text())
def test_any_text_is_a_scope_or_a_refusal_on_one_line(text: str) -> None:
    try:
        scope = find_scope(f"AWS4-HMAC-SHA256 {text}", {})
    except IncompleteSignature as refused:
        message = refused.message
    else:
        message = str(scope)
    assert message.isprintable()
