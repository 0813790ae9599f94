"""Errors as a caller of an AWS operation sees them.

Handlers raise these; the gateway turns them into the shapes of the service's own model, so
that boto3 raises client.exceptions.<code>. Knows codes and messages; knows nothing of HTTP
beyond the status of the few errors that no model declares.
"""

from typing import ClassVar


class ServiceError(Exception):
    """An answer that is an error. The message names the member, its value and the remedy.

    code is the class's own unless given (for a code too rare to have a class). The HTTP
    status is the model's; status here serves only codes that the model does not declare.
    """

    code: str = "InternalFailure"
    status: ClassVar[int] = 400

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class BodyCut(Exception):
    """A streaming request body ended without its end: the client is gone, or garbled it."""


# --- what handlers raise -----------------------------------------------------------------


class AccessDenied(ServiceError):
    """The caller is known and may not do this."""

    code = "AccessDeniedException"
    status = 403


class AccountStreamLimitExceeded(ServiceError):
    code = "AccountStreamLimitExceededException"


class ConnectionLimitExceeded(ServiceError):
    code = "ConnectionLimitExceededException"


class DryRunOperation(ServiceError):
    code = "DryRunOperationException"


class ExpiredIterator(ServiceError):
    code = "ExpiredIteratorException"


class ExpiredNextToken(ServiceError):
    code = "ExpiredNextTokenException"


class IdempotentParameterMismatch(ServiceError):
    code = "IdempotentParameterMismatchException"


class ImageTooLarge(ServiceError):
    code = "ImageTooLargeException"


class InternalFailure(ServiceError):
    code = "InternalFailure"
    status = 500


class InvalidArgument(ServiceError):
    code = "InvalidArgumentException"


class InvalidImageFormat(ServiceError):
    code = "InvalidImageFormatException"


class InvalidPaginationToken(ServiceError):
    code = "InvalidPaginationTokenException"


class InvalidParameter(ServiceError):
    code = "InvalidParameterException"


class InvalidS3Object(ServiceError):
    code = "InvalidS3ObjectException"


class LimitExceeded(ServiceError):
    code = "LimitExceededException"


class ResourceAlreadyExists(ServiceError):
    code = "ResourceAlreadyExistsException"


class ResourceInUse(ServiceError):
    code = "ResourceInUseException"


class ResourceNotFound(ServiceError):
    code = "ResourceNotFoundException"


class ServiceQuotaExceeded(ServiceError):
    code = "ServiceQuotaExceededException"


class TagsPerResourceExceededLimit(ServiceError):
    code = "TagsPerResourceExceededLimitException"


class VersionMismatch(ServiceError):
    code = "VersionMismatchException"


class VideoTooLarge(ServiceError):
    code = "VideoTooLargeException"


# --- what the gateway itself raises; every AWS service shares these ----------------------


class IncompleteSignature(ServiceError):
    """The Authorization header, or the presigned query, is not Signature Version 4."""

    code = "IncompleteSignatureException"


class HeadersTooLarge(ServiceError):
    """Named like S3's error; the status is that of RFC 6585."""

    code = "RequestHeaderSectionTooLargeException"
    status = 431


class MalformedRequest(ServiceError):
    """What came is not HTTP, or its body is encoded in a way that is not served."""

    code = "MalformedHttpRequestException"


class ExpiredToken(ServiceError):
    """The session token of a temporary key has had its time."""

    code = "ExpiredTokenException"
    status = 403


class InvalidSignature(ServiceError):
    """The signature is not of this request, this service or this time."""

    code = "InvalidSignatureException"
    status = 403


class MissingAuthenticationToken(ServiceError):
    """The request is not signed, and has to be."""

    code = "MissingAuthenticationTokenException"
    status = 403


class UnrecognizedClient(ServiceError):
    """No such access key, or no longer, or its session token is another."""

    code = "UnrecognizedClientException"
    status = 403


class RequestEntityTooLarge(ServiceError):
    code = "RequestEntityTooLargeException"
    status = 413


class RequestTimeout(ServiceError):
    code = "RequestTimeoutException"
    status = 408


class TooManyConnections(ServiceError):
    code = "ServiceUnavailableException"
    status = 503


class Serialization(ServiceError):
    """The body is not JSON, or a value has not the type that the model asks for."""

    code = "SerializationException"


class UnknownOperation(ServiceError):
    """No such operation, or one that is not served here."""

    code = "UnknownOperationException"


class UnknownPath(UnknownOperation):
    """No service owns this method and path."""

    status = 404
