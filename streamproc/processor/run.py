"""One run of one processor, from opening what it needs to rest.

Knows patience: how long to try, how long to drain, when to give up. Knows nothing of states,
of the store or of other processors.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TypeAlias

from streamproc.aio import backoff_seconds
from streamproc.errors import PermanentFailure, StreamprocError, TransientFailure
from streamproc.model.position import StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.pipeline import Pipeline, SaveCheckpoint, Shared
from streamproc.processor.ports import FaceSearch, MediaSource, RecordSink
from streamproc.processor.scopes import abandoned_when
from streamproc.processor.view import Counters, Notices

log = logging.getLogger(__name__)

_Parts: TypeAlias = tuple[MediaSource, RecordSink, FaceSearch]


class Run:
    """Open, run, drain; once."""

    def __init__(
        self, spec: ProcessorSpec, shared: Shared, save_checkpoint: SaveCheckpoint
    ) -> None:
        self.counters = Counters()
        self.notices = Notices()
        self._spec = spec
        self._shared = shared
        self._save_checkpoint = save_checkpoint
        self._stop = asyncio.Event()
        self._trouble = ""

    def stop(self) -> None:
        """Come to rest: at once while opening, else after draining."""
        self._stop.set()

    async def run(
        self,
        position: StartPosition,
        opened: Callable[[], Awaitable[None]],
        open_timeout_s: float | None,
    ) -> None:
        """Return once stopped. opened is awaited when everything is open, before reading.

        With open_timeout_s None it is tried until it opens or is stopped. Raises
        PermanentFailure or an ExceptionGroup.
        """
        work = asyncio.create_task(self._work(position, opened, open_timeout_s))
        overdue = asyncio.create_task(self._overdue())
        try:
            await asyncio.wait([work, overdue], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return await work
            log.error("processor %s does not close what it opened; left behind", self._spec.name)
            work.cancel()
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        finally:
            overdue.cancel()

    async def _work(
        self,
        position: StartPosition,
        opened: Callable[[], Awaitable[None]],
        open_timeout_s: float | None,
    ) -> None:
        pipeline = Pipeline(
            self._spec,
            self._shared,
            position,
            self.counters,
            self._save_checkpoint,
            self.notices.slot("pace"),
        )
        async with AsyncExitStack() as stack:
            async with abandoned_when(self._stop.wait()):
                source, sink, faces = await self._open(stack, pipeline, open_timeout_s)
            if self._stop.is_set():
                return
            await opened()
            await pipeline.run(source, sink, faces, self._stop)

    async def _overdue(self) -> None:
        """Draining has its own limit; this one is for parts that do not close."""
        await self._stop.wait()
        await self._shared.clock.sleep(2 * self._shared.config.stop_timeout_s)

    @property
    def left_behind(self) -> str:
        """What a person should know of a run that was stopped."""
        count = self.counters.records_undelivered
        if not count:
            return ""
        return (
            f"Stopped with {count} records not delivered: the data stream did not acknowledge "
            f"them within processors.stop_timeout_s = {self._shared.config.stop_timeout_s:g} s."
        )

    async def _open(
        self, stack: AsyncExitStack, pipeline: Pipeline, timeout_s: float | None
    ) -> _Parts:
        """Open everything, trying again what may heal by itself."""
        if timeout_s is None:
            return await self._open_patiently(stack, pipeline)
        async with abandoned_when(self._shared.clock.sleep(timeout_s)) as patience:
            parts = await self._open_patiently(stack, pipeline)
        if patience.expired():
            trouble = self._trouble or "the streams did not answer"
            raise PermanentFailure(f"Not started within {timeout_s:g} s: {trouble}")
        return parts

    async def _open_patiently(self, stack: AsyncExitStack, pipeline: Pipeline) -> _Parts:
        report = self.notices.slot("opening")
        for attempt in itertools.count():
            try:
                parts = await self._open_once(stack, pipeline)
            except (TransientFailure, OSError) as error:
                self._trouble = str(error) or type(error).__name__
                report(f"Not running yet, trying again: {self._trouble}")
            else:
                report("")
                return parts
            pause_s = backoff_seconds(attempt, base_s=0.5, roll=self._shared.roll)
            await self._shared.clock.sleep(pause_s)
        raise AssertionError("itertools.count ended")

    async def _open_once(self, stack: AsyncExitStack, pipeline: Pipeline) -> _Parts:
        world, spec, notices = self._shared.world, self._spec, self.notices
        async with AsyncExitStack() as attempt:
            source = await attempt.enter_async_context(
                world.source(spec, notices.slot("video stream"))
            )
            sink = await attempt.enter_async_context(
                world.sink(spec, pipeline.delivered, notices.slot("data stream"))
            )
            faces = await attempt.enter_async_context(world.faces(spec))
            await stack.enter_async_context(attempt.pop_all())
        return source, sink, faces


def cause_of(error: Exception) -> Exception:
    """The one among everything that went wrong at once that a person should hear of."""
    causes = list(_causes(error))
    ours = (cause for cause in causes if isinstance(cause, StreamprocError))
    return next(ours, causes[0])


def in_words(cause: Exception) -> str:
    """The StatusMessage of a failure. Ours are written for a person; what is not ours gets
    its name and the way to more."""
    if isinstance(cause, StreamprocError):
        return str(cause)
    return (
        f"Internal error, {type(cause).__name__}: {cause}. The daemon's log tells more; "
        "StartStreamProcessor tries again."
    )


def _causes(error: Exception) -> Iterator[Exception]:
    if not isinstance(error, ExceptionGroup):
        yield error
        return
    for part in error.exceptions:
        yield from _causes(part)
