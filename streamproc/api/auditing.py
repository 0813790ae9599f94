"""What operations write into the audit log, and what becomes of them if it cannot be written.

An answer (who was found) is written down before the caller hears it. A change (faces in, faces
out) has two lines of one RequestId: Stage asked, on disk before anything changes, and Stage done
with what was changed, on disk before the caller hears yes; that one is the receipt. If the first
cannot be written nothing happens, if the second cannot, the answer waits until it can. A change
that an error ended has Stage failed in place of done, one that the end of the daemon cut off has
its asked alone: of both, all or nothing of what was asked may have been done.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from streamproc.api.service import ApiServices
from streamproc.errors import AuditBroken, StoreUnavailable
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InternalFailure

log = logging.getLogger(__name__)


@asynccontextmanager
async def audited_change(
    services: ApiServices, context: RequestContext, /, **asked: Any
) -> AsyncIterator[dict[str, Any]]:
    """The block is the change; it fills in what was done. asked says what is to be changed."""
    common = _common(context)
    await _record(services, context, {"Stage": "asked", **common, **asked})
    done: dict[str, Any] = {}
    who, event = context.caller.arn, context.operation
    try:
        yield done
    except Exception as error:
        failed = {"Stage": "failed", **common, "Error": type(error).__name__}
        with suppress(StoreUnavailable, AuditBroken):  # the caller is to hear of the first error
            await services.audit.record(who, event, failed)
        raise
    receipt = {"Stage": "done", **common, **asked, **done}
    await services.audit.insist(who, event, receipt, _ignore, durable=True)


async def audited_answer(services: ApiServices, context: RequestContext, /, **found: Any) -> None:
    """Raises ServiceError if it cannot be written: then nobody may hear the answer."""
    await _record(services, context, {**_common(context), **found})


def _common(context: RequestContext) -> dict[str, Any]:
    return {"Region": context.region, "RequestId": context.request_id}


async def _record(services: ApiServices, context: RequestContext, details: dict[str, Any]) -> None:
    try:
        await services.audit.record(context.caller.arn, context.operation, details)
    except (StoreUnavailable, AuditBroken) as error:
        log.error("%s is refused, request id %s: %s", context.operation, context.request_id, error)
        raise InternalFailure(
            f"{context.operation} is not carried out, because it cannot be written into the "
            f"audit log: {error}",
            code="InternalServerError",
        ) from None


def _ignore(_: str) -> None:
    """The log tells of a receipt that waits."""
