"""What the daemon is while its models load: open, and able to answer what needs none.

Cameras, consumers and whoever asks after processors are answered at once; a call that needs a
model, or a collection (which belongs to a model), waits, as long as not too many do. A processor
that is started is STARTING meanwhile. Knows which operations these are and how a load is left
when the daemon is told to stop; knows nothing of how anything is loaded.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar, cast

from streamproc.aio import Worker
from streamproc.errors import EngineError
from streamproc.gateway.dispatch import BoundHandler, BoundService, RequestContext
from streamproc.gateway.errors import InternalFailure, ServiceError
from streamproc.model.job import JobKind
from streamproc.processor.scopes import abandoned_when

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
        "DescribeStreamproc",
        "GetStreamprocFacePicture",
        "ListStreamprocCameras",
        "ListStreamprocEvents",
        "ListStreamprocJobs",
        "ListStreamprocProcessors",
        *(f"Get{kind}" for kind in JobKind),
    }
)
"""Operations of Rekognition that touch neither a model nor a collection."""

WAITING_MAX: Final = 256
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Calls that wait at once, and the text and pictures in them; in base64, as they came, these
are held once more. One call alone may be larger: server.request_bytes_max bounds it."""

_THREAD: Final = "models"


class StartAbandoned(Exception):
    """The daemon was told to stop before its models were there."""


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
        self._ending = "cannot be loaded; streamproc ends, and its log says why"
        self._waiting = self._waiting_bytes = 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """The block loads. If it raises, the daemon ends: calls that wait hear of it, and
        processors go on waiting, to be stopped."""
        try:
            yield
            self._loaded.set()
        except StartAbandoned:
            self._ending = "were still loading when streamproc was stopped; call once it is back"
            raise
        finally:
            self._over.set()

    @property
    def is_loaded(self) -> bool:
        return self._loaded.is_set()

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
            if not self._over.is_set():
                with self._counted(context.operation, _bytes_in(request)):
                    await self._over.wait()
            if not self._loaded.is_set():
                raise InternalFailure(
                    f"{context.operation} needs models that {self._ending}.",
                    code="InternalServerError",
                )
            return await handler(request, context)

        return answer

    @contextmanager
    def _counted(self, operation: str, size: int) -> Iterator[None]:
        """A call that waits. Raises what AWS answers to who calls too much: clients try again."""
        is_room = self._waiting < WAITING_MAX and self._waiting_bytes + size <= WAITING_BYTES_MAX
        if self._waiting and not is_room:
            raise ServiceError(
                f"{operation} needs models that are loading, and {self._waiting} calls with "
                f"{self._waiting_bytes} bytes wait for them already; call again in some seconds.",
                code="ThrottlingException",
            )
        self._waiting += 1
        self._waiting_bytes += size
        try:
            yield
        finally:
            self._waiting -= 1
            self._waiting_bytes -= size


async def load_beside(load: Callable[[], T], stop: asyncio.Event) -> T:
    """What load returns, from a thread of its own. Raises what it raises, and StartAbandoned
    once stop is set: nothing interrupts a library that reads a model, so it is left behind."""
    # A thread of a pool would be waited for, by the loop's end and by the interpreter's.
    thread = Worker(_THREAD)
    try:
        async with abandoned_when(stop.wait()):
            return await thread.run(load)
    finally:
        thread.stop()
    raise StartAbandoned


def end_beside_load() -> None:
    """End the process, well, if a load was left behind; else do nothing. The interpreter's own
    end would tear that thread out of its library, which aborts the process."""
    if any(thread.name == _THREAD for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _bytes_in(value: Any) -> int:
    """What the pictures and the text of a request hold."""
    match value:
        case dict():
            return sum(map(_bytes_in, value.values()))
        case list():
            return sum(map(_bytes_in, value))
        case bytes() | str():
            return len(value)
        case _:
            return 0
