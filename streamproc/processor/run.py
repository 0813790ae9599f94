"""One run of one processor, from opening what it needs to rest.

Knows patience: how long to try, how long to drain, when to give up. Knows nothing of states,
of the store or of other processors.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

from streamproc.aio import backoff_seconds
from streamproc.errors import (
    OutOfReach,
    PermanentFailure,
    StoreUnavailable,
    StreamprocError,
    TransientFailure,
)
from streamproc.model.position import StartPosition
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.keeper import SaveCheckpoint
from streamproc.processor.pipeline import Pipeline, Shared
from streamproc.processor.ports import FaceSearch, MediaSource, RecordSink
from streamproc.processor.scopes import abandoned_when
from streamproc.processor.view import Counters, Notices

log = logging.getLogger(__name__)

_Parts: TypeAlias = tuple[MediaSource, RecordSink, FaceSearch]
_HEALS = (TransientFailure, StoreUnavailable, OSError)


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run begins: at a caller's Start, or where an earlier run was interrupted.

    timeout_s: it must have opened by then; None tries until it opens or is stopped, and counts
    what is out of reach as trouble that may heal: it was there when the run was interrupted.
    """

    position: StartPosition
    timeout_s: float | None
    sampled_at: float | None = None


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
        beginning: Beginning,
        opened: Callable[[], Awaitable[None]],
    ) -> None:
        """Return once stopped. opened is awaited when everything is open, before reading.

        Raises PermanentFailure or an ExceptionGroup.
        """
        work = asyncio.create_task(self._work(beginning, opened))
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
        beginning: Beginning,
        opened: Callable[[], Awaitable[None]],
    ) -> None:
        pipeline = Pipeline(
            self._spec,
            self._shared,
            beginning.position,
            self.counters,
            self._save_checkpoint,
            self.notices,
            beginning.sampled_at,
        )
        async with AsyncExitStack() as stack:
            async with abandoned_when(self._stop.wait()):
                source, sink, faces = await self._open(stack, pipeline, beginning.timeout_s)
            if self._stop.is_set():
                return
            async with abandoned_when(self._stop.wait()):
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
        await self._shared.world.ready(self.notices.slot("opening"))
        if timeout_s is None:
            return await self._open_patiently(stack, pipeline, (*_HEALS, OutOfReach))
        async with abandoned_when(self._shared.clock.sleep(timeout_s)) as patience:
            parts = await self._open_patiently(stack, pipeline, _HEALS)
        if patience.expired():
            trouble = self._trouble or "the streams did not answer"
            raise PermanentFailure(f"Not started within {timeout_s:g} s: {trouble}")
        return parts

    async def _open_patiently(
        self, stack: AsyncExitStack, pipeline: Pipeline, heals: tuple[type[Exception], ...]
    ) -> _Parts:
        report = self.notices.slot("opening")
        for attempt in itertools.count():
            try:
                parts = await self._open_once(stack, pipeline)
            except heals as error:
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
                world.sink(
                    spec, pipeline.delivered, notices.slot("data stream"), pipeline.before_send
                )
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
