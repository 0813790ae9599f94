"""Who signed a request, and for which region and service.

Reads AWS Signature Version 4 as clients write it, in the Authorization header or in a
presigned query. Whether the signature is true is not decided here. Source: "AWS Signature
Version 4 for API requests", IAM user guide.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from streamproc.gateway.errors import IncompleteSignature
from streamproc.gateway.words import shown

ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = re.compile(r"\d{8}", re.ASCII)
# Regions and services become parts of ARNs and of keys in databases, so nothing else passes.
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_ACCESS_KEY_ID = re.compile(r"[!-~]{1,256}", re.ASCII)
_REMEDY = "Sign with AWS Signature Version 4, or send no signature at all."


@dataclass(frozen=True, slots=True)
class SigningScope:
    """What AK/20260131/us-east-1/rekognition/aws4_request says."""

    access_key_id: str
    region: str
    service: str  # the signing name, such as kinesisvideo


def find_scope(authorization: str | None, query: Mapping[str, str]) -> SigningScope | None:
    """The scope of a request, None if it is not signed.

    Raises IncompleteSignature if it is signed in another way, or only in part.
    """
    if authorization is not None:
        return _of_header(authorization)
    if any(name in query for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature")):
        return _of_query(query)
    return None


def _of_header(authorization: str) -> SigningScope:
    algorithm, _, rest = authorization.strip().partition(" ")
    _check_algorithm("Authorization header", algorithm)
    pairs = (field.partition("=") for field in rest.split(","))
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise IncompleteSignature(f"Authorization header lacks {name}. {_REMEDY}")
    return parse_credential(fields["Credential"])


def _of_query(query: Mapping[str, str]) -> SigningScope:
    for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature"):
        if not query.get(name):
            raise IncompleteSignature(f"Presigned query lacks {name}. {_REMEDY}")
    _check_algorithm("X-Amz-Algorithm", query["X-Amz-Algorithm"])
    return parse_credential(query["X-Amz-Credential"])


def _check_algorithm(where: str, algorithm: str) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignature(
            f"{where} has the algorithm '{shown(algorithm)}'; {ALGORITHM} is expected. {_REMEDY}"
        )


def parse_credential(credential: str) -> SigningScope:
    """Read AK/date/region/service/aws4_request. Raises IncompleteSignature."""
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
            return SigningScope(access_key_id, region, service)
    raise IncompleteSignature(
        f"Credential '{shown(credential)}' is not ACCESS_KEY_ID/YYYYMMDD/region/service/"
        f"aws4_request. {_REMEDY}"
    )
