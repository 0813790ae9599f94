"""Who may read what is served beside the operations: the console's streams, figures, checks.

The same door as the API's, for plain GET requests. Where keys are asked for, that is Signature
Version 4 (service rekognition, no body) and the key's policy. Knows no page and no stream.
"""

import uuid
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeAlias

from aiohttp import web

from streamproc.gateway.app import head_of
from streamproc.gateway.calls import told_of
from streamproc.gateway.door import Doorkeeper
from streamproc.gateway.errors import AccessDenied, MalformedRequest
from streamproc.gateway.faults import error_reply
from streamproc.gateway.scope import find_scope
from streamproc.model.caller import Caller, Right

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SIGNING_NAME = "rekognition"


class Guard:
    """door is the gateway's own. region is that of requests that are not signed."""

    def __init__(self, door: Doorkeeper, region: str) -> None:
        self._door = door
        self._region = region

    def region_of(self, request: web.Request) -> str:
        """The region that a request is about: that of its signature. Raises ServiceError for a
        signature that cannot be read."""
        scope = find_scope(request.headers.get("Authorization"), request.query)
        return scope.region if scope else self._region

    async def admit(self, request: web.Request, *rights: Right) -> Caller:
        """Who asks, once that is certain and they are allowed all of this. Raises
        ServiceError."""
        if request.can_read_body:
            raise MalformedRequest(f"{request.method} {request.path} takes no body; send none.")
        admission = await self._door.admit(head_of(request), _SIGNING_NAME, streams=False)
        caller = admission.with_body(b"")
        for right in rights:
            if refusal := caller.refusal(right):
                raise AccessDenied(refusal)
        return caller


def answered(handler: Handler) -> Handler:
    """The handler, with whatever it raises answered as the gateway answers: JSON, in words."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:
            return refused(error, request)

    return answer


def refused(error: Exception, request: web.Request) -> web.Response:
    """What the gateway would answer. What is ours to mend is logged."""
    request_id = str(uuid.uuid4())
    failure = told_of(error, f"{request.method} {request.path}", None, request_id)
    reply = error_reply(failure, None, request_id)
    assert isinstance(reply.body, bytes)
    headers = {**reply.headers, "Cache-Control": "no-store"}
    return web.Response(status=reply.status, headers=headers, body=reply.body)
