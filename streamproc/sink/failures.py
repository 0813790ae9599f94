"""Which answers of Kinesis Data a retry can heal, and what to tell a person. Pure.

The default is to try again: nothing is lost by it, and the person reads why. Permanent is
only what stays wrong until somebody changes something. A stream that is missing and access
that is denied are OutOfReach: wrong for good where they were never right, and to be waited
out where records have gone before (a stream is made anew, credentials are rotated).
"""

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

from streamproc.errors import OutOfReach, PermanentFailure

# What put_records may raise that belongs to the network or the service, not to our code.
SERVICE_TROUBLE = (
    ClientError,
    BotoConnectionError,
    HTTPClientError,
    ResponseParserError,  # a proxy's page instead of an answer
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    OSError,
)
_NOT_FOUND = {"ResourceNotFoundException"}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_REFUSED = {
    "InvalidArgumentException",  # a record larger than the stream allows, for one
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "KMSOptInRequired",
    "SerializationException",
    "UnknownOperationException",
    "ValidationException",
}


class StreamMissing(OutOfReach):
    """The data stream does not exist."""


def permanent_failure(error: Exception, stream: str, account: str) -> PermanentFailure | None:
    """The failure to stop with, or None where trying again may help.

    The messages for a missing stream and for denied access are Rekognition's own.
    """
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return OutOfReach(f"Access denied to Kinesis Data: {error}")
    if not isinstance(error, ClientError):
        return None
    code, message = _code_and_message(error)
    if code in _NOT_FOUND:
        return StreamMissing(f"Stream {stream} under account {account} not found")
    if code in _DENIED:
        return OutOfReach("Access denied to Kinesis Data")
    if code in _REFUSED:
        return PermanentFailure(
            f"Kinesis Data refused records for stream {stream}: {message} ({code})"
        )
    return None


def describe(error: Exception) -> str:
    """One line about trouble that may pass."""
    if isinstance(error, ClientError):
        code, message = _code_and_message(error)
        return f"{message} ({code})" if message else code
    return str(error) or type(error).__name__


def code_of(error: Exception) -> str:
    """AWS's code where there is one, else the kind of error."""
    return _code_and_message(error)[0] if isinstance(error, ClientError) else type(error).__name__


def _code_and_message(error: ClientError) -> tuple[str, str]:
    details = error.response.get("Error", {})
    return str(details.get("Code", "Unknown")), str(details.get("Message", ""))
