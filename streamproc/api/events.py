"""Who came and who went: operations of our own on the event log, and the pictures beside it.

Their models are in own_model.py.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from streamproc.api.service import ApiServices, rekognition
from streamproc.events.service import EventService
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidParameter, ResourceNotFound
from streamproc.processor.scopes import abandoned_when

_PAGE_DEFAULT: Final = 100


@rekognition.operation("ListStreamprocEvents")
async def list_streamproc_events(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    """With After those behind it, oldest first, waiting for the first one if there is none; else
    the latest, newest first, those before Before.

    NewestId is what to go on with: After of the next call, once a page was not full.
    """
    log = _events(services).log
    after, before = request.get("After"), request.get("Before")
    if after is not None and before is not None:
        raise InvalidParameter("After and Before exclude each other; give one of them")
    limit, name = request.get("MaxResults", _PAGE_DEFAULT), request.get("Name")
    of = {"region": context.region, "processor": name}
    newest_id = log.newest_id
    if after is None:
        found = await log.latest(limit, before=before, **of)
    else:
        found = await log.read(after, limit, **of)
        with suppress(TimeoutError):
            async with asyncio.timeout(request.get("WaitSeconds", 0)), abandoned_when(log.ended()):
                while not found:
                    await log.wait_beyond(max(after, newest_id))
                    newest_id = log.newest_id
                    found = await log.read(after, limit, **of)
    return {"Events": [event.members for event in found], "NewestId": newest_id}


@rekognition.operation("GetStreamprocFacePicture")
async def get_streamproc_face_picture(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    visit_id = request["VisitId"]
    picture = await _events(services).face_picture(visit_id, context.region)
    if picture is None:
        raise ResourceNotFound(
            f"There is no picture of visit {visit_id}: none is kept for longer than "
            "events.face_pictures_kept_hours says, but for the latest in memory."
        )
    return {"Picture": picture}


def _events(services: ApiServices) -> EventService:
    if services.events is None:
        raise InvalidParameter("No events are kept; set events.enabled = true")
    return services.events
