"""What S3's errors mean to a person: gone for good, or worth another try."""

import asyncio

import aiohttp
from botocore import exceptions as botocore
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from streamproc.errors import ObjectUnavailable, TransientFailure
from streamproc.model.video import ObjectRef

BROKEN = (
    botocore.ConnectionError,
    botocore.HTTPClientError,
    botocore.IncompleteReadError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
    ResponseParserError,
)
"""A connection that was not made, broke off, or carried something that is not S3."""

FAILURES = (*BROKEN, BotoCoreError, ClientError, RecursionError)
"""Everything that a call of an S3 client raises. RecursionError is how aiobotocore ends where a
web server, and no S3, redirects every request."""

# S3 API reference, "Error responses": where another try is what they ask for.
_TRY_AGAIN = {"RequestTimeout", "SlowDown", "Throttling", "TooManyRequests"}


def failure(ref: ObjectRef, error: Exception) -> ObjectUnavailable | TransientFailure:
    """What to raise for one of FAILURES."""
    if isinstance(error, ClientError):
        return _refused(ref, error)
    if isinstance(error, RecursionError):
        return ObjectUnavailable(
            f"{ref} cannot be read: what answers at endpoints.s3 only redirects; is the URL right, "
            "http or https?"
        )
    words = f"{ref} cannot be read from S3: {str(error) or type(error).__name__}"
    return TransientFailure(words) if isinstance(error, BROKEN) else ObjectUnavailable(words)


def code_of(error: ClientError) -> str:
    """NoSuchKey and the like; only the HTTP status where S3 sent no body, as for HeadObject."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _refused(ref: ObjectRef, error: ClientError) -> ObjectUnavailable | TransientFailure:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or status == 429 or code in _TRY_AGAIN:
        return TransientFailure(f"{ref} cannot be read now: S3 answers {_answer(error)}")
    if code == "InvalidObjectState":
        return archived(ref)
    if code == "NoSuchBucket":
        return ObjectUnavailable(f"{ref} does not exist: there is no bucket {ref.bucket} ({code})")
    if status == 404:
        where = ", or its bucket does not" if code == "404" else ""
        return ObjectUnavailable(f"{ref} does not exist{where} (S3 answers {code})")
    if status == 403:
        return ObjectUnavailable(
            f"{ref} may not be read with streamproc's credentials (S3 answers {code}); without "
            "s3:ListBucket, S3 says so too of what does not exist"
        )
    if status in {301, 307}:
        return ObjectUnavailable(f"{ref} is in another region (S3 answers {code})")
    return ObjectUnavailable(f"{ref} cannot be read: S3 answers {_answer(error)}")


def archived(ref: ObjectRef) -> ObjectUnavailable:
    return ObjectUnavailable(
        f"{ref} is archived and cannot be read (InvalidObjectState); restore it first"
    )


def _answer(error: ClientError) -> str:
    message = error.response.get("Error", {}).get("Message", "")
    return f"{code_of(error)}{f' ({message})' if message else ''}"
