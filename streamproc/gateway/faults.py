"""Errors as answers. Pure; the log is calls.py's."""

from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.gateway.dispatch import BoundService
from streamproc.gateway.errors import InternalFailure, ServiceError
from streamproc.gateway.messages import HttpReply
from streamproc.gateway.rest import content_type
from streamproc.gateway.wire import dump_json

# What services call a failure of their own; the first that the model declares is taken.
_INTERNAL_CODES = ("InternalServerError", "InternalFailureException", "InternalFailure")


def error_reply(error: ServiceError, service: BoundService | None, request_id: str) -> HttpReply:
    """The answer that makes a client of the service raise the error.

    The code goes into both places and the message under both capitalisations, because
    clients differ in which of them they read (the C SDK only Message, Go only message).
    """
    headers = {
        "x-amzn-RequestId": request_id,
        "x-amzn-ErrorType": error.code,
        "Content-Type": content_type(service.protocol if service else "rest-json"),
    }
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    return HttpReply(status_of(error, service), headers, dump_json(body))


def status_of(error: ServiceError, service: BoundService | None) -> int:
    """The HTTP status: the model's, where it declares the error."""
    return service.error_statuses.get(error.code, error.status) if service else error.status


def internal_failure(service: BoundService | None, request_id: str) -> ServiceError:
    """What a caller sees of a mistake of ours: where to look, and nothing of its inside."""
    return _failure(
        service, f"Internal error. The server's log has its cause under request id {request_id}."
    )


def store_failure(
    service: BoundService | None, error: StoreUnavailable | StoreDamaged
) -> ServiceError:
    """What a caller sees of a disk that refuses: an error that clients try again, and what
    whoever runs the server can do."""
    return _failure(service, f"{error}.")


def _failure(service: BoundService | None, message: str) -> ServiceError:
    declared = service.error_statuses if service else {}
    code = next((code for code in _INTERNAL_CODES if code in declared), _INTERNAL_CODES[-1])
    return InternalFailure(message, code=code)
