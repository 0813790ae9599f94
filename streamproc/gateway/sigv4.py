"""Whether a signature is of this request: sign it again, and compare.

botocore's own signer builds the canonical request, over the bytes as they were received and
exactly the headers that the client says it signed. What a client may leave unsigned, and what
may not be told in two ways, is decided here. Pure. Knows no keys and no clock. Sources: "AWS
Signature Version 4 for API requests", IAM user guide; the signers of botocore, aws-sdk-go,
aws-sdk-java, aws-sdk-js, aws4 (Node.js) and the Kinesis Video producer for C.
"""

import hmac
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import EMPTY_SHA256_HASH, SIGV4_TIMESTAMP, UNSIGNED_PAYLOAD, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import ReadOnlyCredentials
from botocore.utils import normalize_url_path

from streamproc.gateway.door import RequestHead
from streamproc.gateway.errors import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
)
from streamproc.gateway.scope import Signature, read_signature
from streamproc.gateway.words import shown

EXPIRES_S_MAX = 604_800
"""A presigned request lives a week at most."""

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
"""AWS's words: what a wrong secret and an altered request have in common."""

# What carries members, the operation, the date or the token begins so; a header that somebody
# could add to a signed request must not mean anything.
_MEANINGFUL = "x-amz"
_ADDED_ON_THE_WAY = "x-amzn-trace-id"  # by load balancers; no client signs it
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SECONDS = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]*", re.ASCII)
# As they may stand in a request line.
_PATH = re.compile(r'/[!"$->@-~]*', re.ASCII)
_QUERY = re.compile(r'[!"$-~]*', re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The head of a request that says one thing only, and has signed all that matters of it."""

    head: RequestHead
    signature: Signature
    headers: Mapping[str, str] = field(repr=False)  # the signed ones; lower-case names
    timestamp: str  # 20260131T120000Z
    signed_at: float  # the same, seconds since the epoch
    expires_s: int | None  # of a presigned request; None where it names no time
    token: str = field(repr=False)  # the session token, "" without one
    payload_hash: str | None
    """Of the body, in hexadecimal, or UNSIGNED-PAYLOAD; None if the request does not say."""


def read_signed(head: RequestHead) -> SignedRequest:
    """Take apart what a request says of its signature.

    Raises MissingAuthenticationToken if it is not signed, IncompleteSignature if that is not
    Signature Version 4, InvalidSignature if the signature leaves open what is meant.
    """
    received = _by_name(head)
    query = _signing_parameters(head.raw_query)
    authorization = received.get("authorization", [])
    if len(authorization) > 1:
        raise IncompleteSignature("There are several Authorization headers; send one.")
    signature = read_signature(authorization[0] if authorization else None, query)
    if signature is None:
        raise MissingAuthenticationToken(
            "Missing Authentication Token. Sign with AWS Signature Version 4."
        )
    _check_target(head)
    headers = _signed_headers(received, signature)
    timestamp, signed_at = _time_of(headers, query, signature)
    if timestamp[:8] != signature.date:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{signature.date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return SignedRequest(
        head=head,
        signature=signature,
        headers=headers,
        timestamp=timestamp,
        signed_at=signed_at,
        expires_s=_lifetime(query) if signature.is_presigned else None,
        token=_said(headers, query, "X-Amz-Security-Token") or "",
        payload_hash=_said(headers, query, "X-Amz-Content-Sha256"),
    )


def is_true(request: SignedRequest, secret: str, payload_hash: str) -> bool:
    """Whether the secret, and a body of this hash, give the signature. In constant time."""
    return any(
        hmac.compare_digest(signature.encode(), request.signature.value.encode())
        for signature in _signatures(request, secret, payload_hash)
    )


def stream_hash(request: SignedRequest) -> str:
    """What stands for the body of a stream in its signature: nobody knows its hash when it
    begins. Raises InvalidSignature if the request has something else there."""
    # No header: the empty body's, as the C SDK and Go's and Node's signers do.
    said = request.payload_hash or EMPTY_SHA256_HASH
    if said not in (EMPTY_SHA256_HASH, UNSIGNED_PAYLOAD):
        raise InvalidSignature(
            f"x-amz-content-sha256 '{shown(said)}' is of no use for a body that is a stream; sign "
            f"{UNSIGNED_PAYLOAD}, or the hash of an empty body."
        )
    return said


def stated_hash(request: SignedRequest) -> str | None:
    """The hash of a body that is no stream, if the request says one.

    Raises InvalidSignature if it says something else.
    """
    said = request.payload_hash
    if said is not None and not _SHA256.fullmatch(said):
        raise InvalidSignature(
            f"x-amz-content-sha256 '{shown(said)}' is not the SHA-256 of the body; this "
            "operation's body must be signed."
        )
    return said


def hash_of(body: bytes) -> str:
    return sha256(body).hexdigest()


class _Signer(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signer, over the headers that are said to be signed, and a hash that is known."""

    def __init__(self, request: SignedRequest, secret: str, payload_hash: str) -> None:
        scope = request.signature.scope
        credentials = ReadOnlyCredentials(scope.access_key_id, secret, None)
        super().__init__(credentials, scope.service, scope.region)
        self._payload_hash = payload_hash
        self._headers = HTTPHeaders()
        for name, value in request.headers.items():
            self._headers[name] = value

    def headers_to_sign(self, request: Any) -> HTTPHeaders:  # noqa: ARG002
        return self._headers

    def payload(self, request: Any) -> str:  # noqa: ARG002
        return self._payload_hash


def _signatures(request: SignedRequest, secret: str, payload_hash: str) -> list[str]:
    signer = _Signer(request, secret, payload_hash)
    query = request.head.raw_query
    if request.signature.is_presigned:
        pairs = query.split("&")
        query = "&".join(pair for pair in pairs if not pair.startswith("X-Amz-Signature="))
    # A + is sent for a space by what signs %20 (botocore's AWSRequest with params); both mean
    # a space here.
    spellings = [query, query.replace("+", "%20")] if "+" in query else [query]
    found = []
    for spelling in spellings:
        url = f"http://host{request.head.raw_path}?{spelling}"
        rebuilt = AWSRequest(method=request.head.method, url=url)
        rebuilt.context["timestamp"] = request.timestamp
        text = signer.string_to_sign(rebuilt, signer.canonical_request(rebuilt))
        found.append(str(signer.signature(text, rebuilt)))
    return found


def _by_name(head: RequestHead) -> dict[str, list[str]]:
    received: dict[str, list[str]] = defaultdict(list)
    for name, value in head.headers:
        received[name.lower()].append(value)
    return received


def _signing_parameters(raw_query: str) -> dict[str, str]:
    """The X-Amz-… of a query."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(raw_query, keep_blank_values=True):
        if name.lower().startswith("x-amz-"):
            if name in found:
                raise IncompleteSignature(f"The query has {shown(name)} twice; send it once.")
            found[name] = value
    return found


def _check_target(head: RequestHead) -> None:
    """A signature covers what these become once they are normalised; so they must be so."""
    if head.method != head.method.upper():
        raise InvalidSignature(f"The method '{shown(head.method)}' is not in upper case.")
    if not (_PATH.fullmatch(head.raw_path) and _QUERY.fullmatch(head.raw_query)):
        raise InvalidSignature(
            f"The path '{shown(head.raw_path)}' does not begin with '/', or it or its query has "
            "a character that must be sent percent-encoded."
        )
    if normalize_url_path(head.raw_path) != head.raw_path:
        raise InvalidSignature(
            f"The path '{shown(head.raw_path)}' has empty or dot segments, which a signature "
            "does not tell apart; send it without them."
        )


def _signed_headers(received: Mapping[str, list[str]], signature: Signature) -> dict[str, str]:
    """The values of the signed headers, once it is certain that they are all that matters."""
    needed = {
        name for name in received if name.startswith(_MEANINGFUL) and name != _ADDED_ON_THE_WAY
    }
    for name in sorted({"host", *needed} - set(signature.signed_headers)):
        raise InvalidSignature(f"'{shown(name)}' must be a signed header: {MISMATCH}")
    headers = {}
    for name in signature.signed_headers:
        values = received.get(name, [])
        if len(values) != 1:
            many = "is there several times" if values else "is not in the request"
            raise InvalidSignature(f"The signed header '{shown(name)}' {many}. {MISMATCH}")
        # The canonical form takes any white space of Unicode for a space.
        if not _PRINTABLE.fullmatch(values[0]):
            raise InvalidSignature(f"The signed header '{shown(name)}' is not printable ASCII.")
        headers[name] = values[0]
    return headers


def _time_of(
    headers: Mapping[str, str], query: Mapping[str, str], signature: Signature
) -> tuple[str, float]:
    """The moment that the signature is of: (as the signature has it, seconds since the epoch)."""
    text = query.get("X-Amz-Date") if signature.is_presigned else headers.get("x-amz-date")
    try:
        if text is None and not signature.is_presigned and "date" in headers:
            moment = parsedate_to_datetime(headers["date"])
            if moment.tzinfo is None:  # -0000: it says nothing of where its writer is
                moment = moment.replace(tzinfo=UTC)
            moment = moment.astimezone(UTC)
            return moment.strftime(SIGV4_TIMESTAMP), moment.timestamp()
        if text is not None and _TIMESTAMP.fullmatch(text):
            moment = datetime.strptime(text, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
            return text, moment.timestamp()
    except (ValueError, OverflowError):
        pass
    where = "X-Amz-Date" if signature.is_presigned else "a signed 'X-Amz-Date' or 'Date' header"
    raise InvalidSignature(
        f"A signature requires {where} of the form 20260131T120000Z; it is '{shown(text or '')}'."
    )


def _lifetime(query: Mapping[str, str]) -> int | None:
    text = query.get("X-Amz-Expires")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or int(text) > EXPIRES_S_MAX:
        raise InvalidSignature(
            f"X-Amz-Expires '{shown(text)}' is not a number of seconds from 1 to {EXPIRES_S_MAX}."
        )
    return int(text)


def _said(headers: Mapping[str, str], query: Mapping[str, str], name: str) -> str | None:
    """A value that signers put into a header, and presigners into the query. Both are signed."""
    value = headers.get(name.lower())
    return query.get(name) if value is None else value
