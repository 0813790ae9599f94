"""What the daemon is while its models load: open, and able to answer what needs none.

Cameras, consumers and whoever asks after processors are answered at once; a call that needs a
model, or a collection (which belongs to a model), waits. A processor that is resumed is STARTING
meanwhile. Knows which operations these are; knows nothing of how anything is loaded.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar, cast

from streamproc.errors import EngineError
from streamproc.gateway.dispatch import BoundHandler, BoundService, RequestContext
from streamproc.gateway.errors import InternalFailure
from streamproc.model.job import JobKind

T = TypeVar("T")

ANSWERED_AT_ONCE: Final = frozenset(
    {
        "CreateStreamProcessor",
        "DeleteStreamProcessor",
        "DescribeStreamProcessor",
        "ListStreamProcessors",
        "StartStreamProcessor",
        "StopStreamProcessor",
        "UpdateStreamProcessor",
        "ListStreamprocJobs",
        *(f"Get{kind}" for kind in JobKind),
    }
)
"""Operations of Rekognition that touch neither a model nor a collection."""


class Late(Generic[T]):
    """Stands for an object, to those that are built before it is there and use it afterwards."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._real: T | None = None

    @property
    def stand_in(self) -> T:
        """To be handed on; everything of it raises EngineError until there is the real one."""
        return cast("T", self)

    def become(self, real: T) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if self._real is None:
            raise EngineError(f"{self._name} not there yet")
        return getattr(self._real, name)


class Loading:
    """How far it is. For one event loop."""

    def __init__(self) -> None:
        self._over, self._loaded = asyncio.Event(), asyncio.Event()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """The block loads. If it raises, the daemon ends: calls that wait hear of it, and
        processors go on waiting, to be stopped."""
        try:
            yield
            self._loaded.set()
        finally:
            self._over.set()

    async def loaded(self) -> None:
        """Return once everything is there; never, if that fails."""
        await self._loaded.wait()

    def gated(self, service: BoundService) -> BoundService:
        """The service with every operation waiting that is not ANSWERED_AT_ONCE."""
        handlers = {
            name: handler if name in ANSWERED_AT_ONCE else self._gated(handler)
            for name, handler in service.handlers.items()
        }
        return replace(service, handlers=handlers)

    def _gated(self, handler: BoundHandler) -> BoundHandler:
        async def answer(request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
            await self._over.wait()
            if not self._loaded.is_set():
                raise InternalFailure(
                    f"{context.operation} needs models that cannot be loaded; streamproc ends, "
                    "and its log says why.",
                    code="InternalServerError",
                )
            return await handler(request, context)

        return answer
