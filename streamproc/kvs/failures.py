"""What went wrong while reading a video stream, in words, and whether waiting mends it.

The messages of permanent failures are those that Rekognition documents for a processor.
"""

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from streamproc.errors import ConfigError, OutOfReach, PermanentFailure, TransientFailure


class UnusableAnswer(TransientFailure):
    """Something answers in the service's place, or it answers what it should not."""


TROUBLE = (
    ClientError,
    BotoCoreError,
    ResponseParserError,  # a proxy's page where XML is due
    UnusableAnswer,
    aiohttp.ClientError,
    OSError,
    ConfigError,
)
"""Everything that may go wrong between us and the service. TimeoutError is an OSError."""

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorizedException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_KEY_ERRORS = {4500, 4501, 4502, 4504, 4505, 4506}
"""GetMedia error ids of an encryption key that a person has to see to."""

KEY_UNAVAILABLE, INTERNAL = 4503, 5000
"""GetMedia error ids that say nothing of the fragment: the key's service does not answer, or
Kinesis Video has trouble inside. The fragment is asked for again. With all others (3002: it was
never stored; 4000: it is not kept any more) reading goes on behind it."""


def permanent(error: Exception, stream_name: str) -> PermanentFailure | None:
    """The failure that no retry heals, or None where one may.

    OutOfReach is denied access: wrong from the beginning, or else waited out.
    """
    if isinstance(error, ConfigError):
        return PermanentFailure(str(error))
    if isinstance(error, NoCredentialsError):
        return OutOfReach(
            "Access denied to Kinesis Video: there are no AWS credentials; set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the daemon, or a profile"
        )
    if is_missing(error):
        return PermanentFailure(f"Stream {stream_name} doesn't exist")
    if is_denied(error):
        return OutOfReach("Access denied to Kinesis Video")
    return None


def of_key(error_id: int | None, error_code: str, stream_name: str) -> OutOfReach | None:
    """An error document that says that the stream cannot be decrypted."""
    if error_id not in _KEY_ERRORS:
        return None
    return OutOfReach(
        f"Kinesis Video cannot decrypt stream {stream_name}: {error_code} ({error_id})"
    )


def is_denied(error: Exception) -> bool:
    return isinstance(error, ClientError) and (
        code(error) in _DENIED or _status(error) in {401, 403}
    )


def is_missing(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    # A 404 without a type comes from servers that are not quite AWS.
    return code(error) == "ResourceNotFoundException" or (
        _status(error) == 404 and code(error) in {"404", ""}
    )


def is_invalid_argument(error: Exception) -> bool:
    return isinstance(error, ClientError) and code(error) == "InvalidArgumentException"


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def words(error: Exception) -> str:
    """One line for a status message, while the same thing is tried again."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"Kinesis Video answers {code(error)}, trying again: {message}".rstrip(": ")
    if isinstance(error, UnusableAnswer | ResponseParserError):
        return f"Kinesis Video gives no usable answer, trying again: {error}"
    return f"The connection to Kinesis Video broke, trying again: {str(error) or repr(error)}"


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
