"""One call of an operation, whichever way it came in: checked, allowed, carried out.

What a request owes and is owed is the same over HTTP (app.py) and within the process
(inside.py); this is that part. Knows nothing of either way, of signatures or of sockets.
"""

import logging
from typing import Any

from botocore.model import OperationModel

from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.gateway.dispatch import BoundService, RequestContext
from streamproc.gateway.errors import BodyCut, ServiceError
from streamproc.gateway.faults import internal_failure, store_failure
from streamproc.gateway.validate import complaint

log = logging.getLogger(__name__)


class Calls:
    """Carries calls out, and remembers which odd errors it has warned of."""

    def __init__(self) -> None:
        self._unlisted: set[tuple[str, str, str]] = set()

    async def perform(
        self,
        service: BoundService,
        operation: OperationModel,
        members: dict[str, Any],
        context: RequestContext,
    ) -> dict[str, Any]:
        """What the handler returns. members have the types of the model already; their
        constraints and the caller's rights are seen to here, in this order. Raises ServiceError,
        and whatever breaks in a handler: told_of() puts that into words."""
        handler = service.handler(operation.name)
        if message := complaint(operation.input_shape, members):
            raise ServiceError(message, code=service.validation_error)
        context.require(*service.rights(operation.name, members, context))
        try:
            return await handler(members, context)
        except ServiceError as error:
            self._note_unlisted(service, operation, error)
            raise

    def _note_unlisted(
        self, service: BoundService, operation: OperationModel, error: ServiceError
    ) -> None:
        """Warn, once, of an error that no client of the operation expects."""
        key = (service.name, operation.name, error.code)
        listed = {shape.name for shape in operation.error_shapes}
        if error.code not in listed and key not in self._unlisted:
            self._unlisted.add(key)
            log.warning("%s %s answers %s, which its model does not list", *key)


def told_of(
    error: Exception, called: str, service: BoundService | None, request_id: str
) -> ServiceError:
    """What the caller hears of whatever went wrong. What is ours to mend is logged under the
    request's id; called names the call there."""
    match error:
        case ServiceError():
            return error
        case BodyCut():  # most likely nobody hears this any more
            return ServiceError(f"{error}.", code="SerializationException")
        case StoreUnavailable() | StoreDamaged():
            log.error("request id %s: %s", request_id, error)
            return store_failure(service, error)
        case _:
            log.error("%s failed, request id %s", called, request_id, exc_info=error)
            return internal_failure(service, request_id)
