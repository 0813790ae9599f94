"""What a signature says: who signed, when, for which region and service, and which headers.

Reads AWS Signature Version 4 as clients write it, in the Authorization header or in a
presigned query. Whether the signature is true is sigv4.py's to decide. Source: "AWS Signature
Version 4 for API requests", IAM user guide.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamproc.gateway.errors import IncompleteSignature
from streamproc.gateway.words import shown

ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = re.compile(r"\d{8}", re.ASCII)
# Regions and services become parts of ARNs and of keys in databases, so nothing else passes.
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_ACCESS_KEY_ID = re.compile(r"[!-~]{1,256}", re.ASCII)
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}", re.ASCII)
_MARKS_OF_A_QUERY = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature")
_REMEDY = "Sign with AWS Signature Version 4, or send no signature at all."


@dataclass(frozen=True, slots=True)
class SigningScope:
    """What AK/20260131/us-east-1/rekognition/aws4_request says."""

    access_key_id: str
    region: str
    service: str  # the signing name, such as kinesisvideo


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it was written."""

    scope: SigningScope
    date: str  # YYYYMMDD of the credential
    signed_headers: tuple[str, ...]  # lower-case, sorted, each once
    value: str = field(repr=False)
    is_presigned: bool


def find_scope(authorization: str | None, query: Mapping[str, str]) -> SigningScope | None:
    """The scope of a request, None if it is not signed. Raises as read_signature does."""
    signature = read_signature(authorization, query)
    return signature.scope if signature else None


def read_signature(authorization: str | None, query: Mapping[str, str]) -> Signature | None:
    """The signature of a request, None if it has none.

    Raises IncompleteSignature if it is signed in another way, only in part, or twice.
    """
    presigned = any(name in query for name in _MARKS_OF_A_QUERY)
    if authorization is None:
        return _of_query(query) if presigned else None
    if presigned:
        raise IncompleteSignature(
            "Both the Authorization header and the query have a signature; send one of them."
        )
    return _of_header(authorization)


def _of_header(authorization: str) -> Signature:
    algorithm, _, rest = authorization.strip(" \t").partition(" ")
    _check_algorithm("Authorization header", algorithm)
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip(" \t").partition("=")
        if name in fields:
            raise IncompleteSignature(f"Authorization header has {shown(name)} twice. {_REMEDY}")
        fields[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise IncompleteSignature(f"Authorization header lacks {name}. {_REMEDY}")
    return _signature(fields["Credential"], fields["SignedHeaders"], fields["Signature"], False)


def _of_query(query: Mapping[str, str]) -> Signature:
    for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature"):
        if not query.get(name):
            raise IncompleteSignature(f"Presigned query lacks {name}. {_REMEDY}")
    _check_algorithm("X-Amz-Algorithm", query["X-Amz-Algorithm"])
    return _signature(
        query["X-Amz-Credential"], query["X-Amz-SignedHeaders"], query["X-Amz-Signature"], True
    )


def _signature(credential: str, headers: str, value: str, is_presigned: bool) -> Signature:
    scope, date = _parse_credential(credential)
    names = headers.split(";")
    if names != sorted(set(names)) or not all(map(_HEADER_NAME.fullmatch, names)):
        raise IncompleteSignature(
            f"SignedHeaders '{shown(headers)}' are not names in lower case, sorted, each once, "
            f"with ';' between them. {_REMEDY}"
        )
    return Signature(scope, date, tuple(names), value, is_presigned)


def _check_algorithm(where: str, algorithm: str) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignature(
            f"{where} has the algorithm '{shown(algorithm)}'; {ALGORITHM} is expected. {_REMEDY}"
        )


def _parse_credential(credential: str) -> tuple[SigningScope, str]:
    """Read AK/date/region/service/aws4_request: the scope and the date."""
    # From the right: an access key id of an emulator may itself hold a slash.
    parts = credential.rsplit("/", 4)
    if len(parts) == 5 and parts[4] == "aws4_request":
        access_key_id, date, region, service, _ = parts
        if (
            _ACCESS_KEY_ID.fullmatch(access_key_id)
            and _DATE.fullmatch(date)
            and _NAME.fullmatch(region)
            and _NAME.fullmatch(service)
        ):
            return SigningScope(access_key_id, region, service), date
    raise IncompleteSignature(
        f"Credential '{shown(credential)}' is not ACCESS_KEY_ID/YYYYMMDD/region/service/"
        f"aws4_request. {_REMEDY}"
    )
