"""The console's paths, added to the gateway's application: files, and two kinds of streams.

Knows who may see which stream, how many there may be at once, and that who opens a live view is
written down; what flows in them is feed.py's and live.py's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from aiohttp.web_urldispatcher import PlainResource, UrlMappingMatchInfo

from streamproc.audit.log import Audit
from streamproc.errors import AuditBroken, StoreUnavailable
from streamproc.gateway.errors import (
    InternalFailure,
    InvalidParameter,
    ResourceNotFound,
    TooManyConnections,
)
from streamproc.gateway.streams import StreamSender
from streamproc.gateway.words import shown
from streamproc.model.arn import stream_processor_arn
from streamproc.model.caller import Caller, Right
from streamproc.model.processor import ProcessorKey
from streamproc.web.feed import Feed
from streamproc.web.guard import Guard, answered
from streamproc.web.live import LiveViews
from streamproc.web.pages import Pages
from streamproc.web.sse import resumes_behind, stream_response

HOME: Final = "/console/"
VIEW: Final = "GetStreamprocView"
"""What a key must be allowed, on the processor, to see its live view; and its audit line's name."""


class _UnknownProcessor(ResourceNotFound):
    """Under AWS's name, and with HTTP's status, as this is no operation."""

    status = 404


class Console:
    """Answers for everything below /console/."""

    def __init__(
        self,
        guard: Guard,
        pages: Pages,
        feed: Feed,
        views: LiveViews,
        audit: Audit,
        *,
        exists: Callable[[ProcessorKey], bool],
        account_id: str,
        streams_max: int,
    ) -> None:
        self._guard = guard
        self._pages = pages
        self._feed = feed
        self._views = views
        self._audit = audit
        self._exists = exists
        self._account_id = account_id
        self._streams_max = streams_max
        self._streams = 0
        self._sender = StreamSender()

    def add_to(self, app: web.Application) -> None:
        """To be called before the application starts: the gateway's own route is the last."""
        router = app.router
        front_door = _FrontDoor()
        front_door.add_route("GET", _to_console)
        router.register_resource(front_door)
        router.add_get("/console", _to_console)
        router.add_get(f"{HOME}events", answered(self._events), allow_head=False)
        router.add_get(f"{HOME}view", answered(self._view), allow_head=False)
        router.add_get(HOME + "{path:.*}", self._page)
        app.on_shutdown.append(self._stop)

    async def _page(self, request: web.Request) -> web.Response:
        return self._pages.answer(request, request.match_info["path"])

    async def _events(self, request: web.Request) -> web.StreamResponse:
        caller = await self._guard.admit(request)
        refused = self._feed.refusals(caller)
        after = resumes_behind(request)
        region = self._guard.region_of(request)
        with self._counted(), self._feed.watched(region) as board:
            chunks = self._feed.stream(region, board, after, refused)
            return await self._sender.send(request, stream_response(), chunks, caller)

    async def _view(self, request: web.Request) -> web.StreamResponse:
        name, region = request.query.get("name", ""), self._guard.region_of(request)
        arn = stream_processor_arn(region, self._account_id, name)
        caller = await self._guard.admit(request, Right(f"rekognition:{VIEW}", arn))
        if not name:
            raise InvalidParameter("name is missing; ask for /console/view?name=PROCESSOR.")
        key = (region, name)
        if not self._exists(key):
            raise _UnknownProcessor(f"Stream processor {shown(name)} is not found in {region}.")
        with self._counted():
            await self._write_down(caller, region, name)
            chunks = self._views.stream(key, lambda: self._exists(key))
            return await self._sender.send(request, stream_response(), chunks, caller)

    async def _write_down(self, caller: Caller, region: str, name: str) -> None:
        """Raises InternalFailure if it cannot be: then nobody may watch."""
        try:
            await self._audit.record(caller.arn, VIEW, {"Region": region, "Name": name})
        except (StoreUnavailable, AuditBroken) as error:
            raise InternalFailure(
                "The live view is not shown, because it cannot be written into the audit log: "
                f"{error}"
            ) from None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._streams >= self._streams_max:
            raise TooManyConnections(
                f"{self._streams} live connections of the console are open, as many as may be "
                "(console.streams_max); close a tab."
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def _stop(self, _: web.Application) -> None:
        """They never end by themselves, and the server waits for whoever is being served."""
        await self._sender.stop()


class _FrontDoor(PlainResource):
    """/ for browsers. AWS clients post there, and whoever else asks is the gateway's."""

    def __init__(self) -> None:
        super().__init__("/")

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        if "text/html" not in request.headers.get("Accept", ""):
            return None, set()
        return await super().resolve(request)


async def _to_console(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": HOME})
