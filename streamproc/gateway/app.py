"""The gateway's edge: an aiohttp application in front of the services.

One chain per request: find the operation, admit, parse, carry out, serialise. Each step is
a function of another module; this one only joins them, and reads and writes HTTP.
Serve it with aiohttp's default handler_cancellation=False: an operation that has begun is
carried through even if its caller leaves.
"""

import time
import uuid
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from streamproc.gateway.calls import Calls, told_of
from streamproc.gateway.dispatch import BoundService, RequestContext
from streamproc.gateway.door import Doorkeeper, OpenDoor, RequestHead
from streamproc.gateway.errors import RequestTimeout
from streamproc.gateway.faults import error_reply
from streamproc.gateway.figures import CallFigures
from streamproc.gateway.messages import HttpReply, HttpRequest
from streamproc.gateway.rest import (
    build_reply,
    check_content_type,
    parse_request,
    streams_input,
)
from streamproc.gateway.routing import Route, Router
from streamproc.gateway.scope import SigningScope, find_scope
from streamproc.gateway.streams import (
    RequestBody,
    StreamSender,
    check_encoding,
    invite_body,
    read_body,
)
from streamproc.model.caller import ANYONE, Caller
from streamproc.model.log_context import about

_CALLER: web.RequestKey[Caller] = web.RequestKey("caller")


def build_app(
    services: Sequence[BoundService],
    *,
    account_id: str,
    region: str,
    request_bytes_max: int,
    body_timeout_s: float = 60.0,
    door: Doorkeeper | None = None,
    figures: CallFigures | None = None,
) -> web.Application:
    """An application that answers for all the services, whatever the path.

    region is that of requests that are not signed. request_bytes_max and body_timeout_s bound
    every body that is not a stream. door decides who comes in; without one, everybody. Routes
    that others add to the application (a console at GET /, a health check) come first, and are
    not counted in figures. Raises ValueError if two services cannot be told apart.
    """
    gateway = _Gateway(
        services, account_id, region, request_bytes_max, body_timeout_s, door or OpenDoor(),
        figures or CallFigures(),
    )  # fmt: skip

    @web.middleware
    async def answer_the_rest(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_routed = request.match_info.http_exception is None
        return await (handler(request) if is_routed else gateway.handle(request))

    app = web.Application(client_max_size=request_bytes_max, middlewares=[answer_the_rest])
    app.on_startup.append(gateway.add_route)
    app.on_shutdown.append(gateway.stop)
    return app


class _Gateway:
    def __init__(
        self,
        services: Sequence[BoundService],
        account_id: str,
        region: str,
        request_bytes_max: int,
        body_timeout_s: float,
        door: Doorkeeper,
        figures: CallFigures,
    ) -> None:
        self._door = door
        self._figures = figures
        self._router = Router(services)
        self._account_id = account_id
        self._region = region
        self._request_bytes_max = request_bytes_max
        self._body_timeout_s = body_timeout_s
        self._sender = StreamSender()
        self._calls = Calls()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        if request.method == "OPTIONS":
            methods = ["OPTIONS", *self._router.methods(request.rel_url.raw_path)]
            headers = {"Allow": ", ".join(methods), "x-amzn-RequestId": request_id}
            return web.Response(status=204, headers=headers)
        with about(request_id=request_id):
            reply = await self._answer(request, request_id)
            if isinstance(reply.body, bytes):
                whole = web.Response(status=reply.status, headers=reply.headers, body=reply.body)
                if reply.status == RequestTimeout.status:
                    whole.force_close()
                return whole
            response = web.StreamResponse(status=reply.status, headers=reply.headers)
            caller = request.get(_CALLER, ANYONE)
            return await self._sender.send(request, response, reply.body, caller)

    async def add_route(self, app: web.Application) -> None:
        """Behind everybody else's. Without a route of ours, aiohttp would invite the body of a
        request that expects to be asked for it (100-continue), whoever sends it."""
        app.router.add_route("*", r"/{path:[\s\S]*}", self.handle, expect_handler=_expect)

    async def stop(self, _: web.Application) -> None:
        """Streams never end by themselves, and the server waits for whoever is being served."""
        await self._sender.stop()

    async def _answer(self, request: web.Request, request_id: str) -> HttpReply:
        """The answer to a request, whatever becomes of it; only cancellation passes."""
        route: Route | None = None
        began = time.perf_counter()
        try:
            scope = find_scope(request.headers.get("Authorization"), request.query)
            route = self._router.find(
                request.method,
                request.rel_url.raw_path,
                request.headers.get("X-Amz-Target"),
                scope.service if scope else None,
            )
            reply = await self._perform(route, request, scope, request_id)
        except Exception as error:
            service = route.service if route else None
            called = f"{route.service.name} {route.operation.name}" if route else request.path
            failure = told_of(error, called, service, request_id)
            reply = error_reply(failure, service, request_id)
        self._figures.answered(route, reply.status, time.perf_counter() - began)
        return reply

    async def _perform(
        self, route: Route, request: web.Request, scope: SigningScope | None, request_id: str
    ) -> HttpReply:
        service, operation = route.service, route.operation
        streams = streams_input(operation)
        signing_name = service.model.signing_name
        admission = await self._door.admit(head_of(request), signing_name, streams=streams)
        service.handler(operation.name)  # who asks for what is not served sends no body
        plain = await self._read(request, route, is_signed=scope is not None)
        caller = admission.with_body(plain.body if isinstance(plain.body, bytes) else None)
        request[_CALLER] = caller
        members = parse_request(operation, service.protocol, plain, route.labels)
        context = RequestContext(
            service=service.name,
            operation=operation.name,
            region=scope.region if scope else self._region,
            account_id=self._account_id,
            request_id=request_id,
            caller=caller,
        )
        output = await self._calls.perform(service, operation, members, context)
        return build_reply(operation, service.protocol, output, request_id)

    async def _read(self, request: web.Request, route: Route, *, is_signed: bool) -> HttpRequest:
        check_encoding(request)
        body: bytes | RequestBody
        if streams_input(route.operation):
            await invite_body(request)
            body = RequestBody(request)
        else:
            body = await read_body(
                request, bytes_max=self._request_bytes_max, timeout_s=self._body_timeout_s
            )
            check_content_type(request.headers.get("Content-Type", ""), body, is_signed=is_signed)
        return HttpRequest(
            query={key: request.query.getall(key) for key in request.query},
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )


async def _expect(_: web.Request) -> None:
    """The body is invited once its sender has been admitted."""


def head_of(request: web.Request) -> RequestHead:
    """The head as it was sent, for a doorkeeper."""
    return RequestHead(
        method=request.method,
        raw_path=request.rel_url.raw_path,
        raw_query=request.rel_url.raw_query_string,
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers
        ],
    )
