"""Every stream processor of the daemon: created, started, stopped, and kept running.

One task per processor that runs; one camera must never stop another. A change of state is
checked against the table, written to disk, then acted on. What a user asked for last is on disk
too, so whatever way the daemon ends, the next one goes on where this one was.
"""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable, StreamprocError
from streamproc.model.log_context import about
from streamproc.model.position import FromServerTime, StartAt
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.governor import Governor
from streamproc.processor.insist import insist
from streamproc.processor.pipeline import Shared
from streamproc.processor.ports import Unwatched, Watcher, World
from streamproc.processor.run import Beginning, Run, cause_of, in_words
from streamproc.processor.state import (
    TRANSITIONS,
    Event,
    IllegalTransition,
    ProcessorState,
    next_state,
)
from streamproc.processor.store import ProcessorStore, Row
from streamproc.processor.view import Counters, ProcessorView
from streamproc.settings import MediaConfig, ProcessorsConfig, SinkConfig

log = logging.getLogger(__name__)

T = TypeVar("T")


class UnknownProcessor(StreamprocError):
    """No stream processor of this name in this region."""


class ProcessorExists(StreamprocError):
    """The name is taken in this region."""


class ProcessorLimit(StreamprocError):
    """The region has as many stream processors as are allowed."""


@dataclass(slots=True, eq=False)
class _Processor:
    row: Row  # as it is on disk, but for the checkpoint
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    run: Run | None = None
    task: asyncio.Task[None] | None = None

    def view(self) -> ProcessorView:
        row = self.row
        message, counters = row.message, Counters()
        retries: Mapping[str, int] = {}
        if self.run is not None:
            message = message or self.run.notices.text
            counters = replace(self.run.counters)
            retries = self.run.notices.retries_total
        return ProcessorView(
            row.spec, row.state, message, row.created_at, row.updated_at, counters, retries
        )


class Supervisor:
    """Open it and resume_all(); drain() it before what the processors use is closed, and
    aclose() it once nobody calls any more."""

    def __init__(
        self, store: ProcessorStore, rows: list[Row], shared: Shared, threads: ThreadPoolExecutor
    ) -> None:
        self._store = store
        self._shared = shared
        self._threads = threads
        self._processors = {row.key: _Processor(row) for row in rows}
        self._creating = asyncio.Lock()
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    @classmethod
    async def open(
        cls,
        path: Path,
        world: World,
        config: ProcessorsConfig,
        sink_config: SinkConfig,
        clock: Clock,
        roll: Callable[[], float] = random.random,
        account_id: str = "000000000000",
        *,
        media: MediaConfig = MediaConfig(),
        watcher: Watcher | None = None,
    ) -> Self:
        """Read what is on disk; nothing runs yet. Raises StoreDamaged.

        account_id is that of the processors' ARNs, by which their records are named.
        """
        store = await ProcessorStore.open(path)
        rows = [await _at_rest(store, row) for row in await store.load()]
        threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
        governor = Governor(config.analysis_fps, config.analysis_fps_min)
        shared = Shared(
            world, config, sink_config.partition_key, threads, governor, clock, roll, account_id,
            media.picture_pixels_max, watcher or Unwatched(),
        )  # fmt: skip
        return cls(store, rows, shared, threads)

    async def drain(self) -> None:
        """Bring to rest what runs. On disk it still runs: the next daemon goes on with it, and
        starts what is started from here on."""
        self._closing.set()
        tasks = []
        for processor in self._processors.values():
            if processor.run is not None and processor.task is not None:
                processor.run.stop()
                tasks.append(processor.task)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Drain, and finish what callers have begun."""
        await self.drain()
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._store.aclose()

    async def resume_all(self) -> None:
        """Start what its user wants running, each behind its checkpoint. Returns at once."""
        waiting = [
            self._resume_or_try_later(processor)
            for processor in list(self._processors.values())
            if processor.row.desired is ProcessorState.RUNNING
            and processor.row.state is ProcessorState.STOPPED
        ]
        await asyncio.gather(*waiting)  # together: a watcher may keep each of them for a moment

    async def create(self, spec: ProcessorSpec) -> None:
        """Raises ProcessorExists, ProcessorLimit."""
        await self._finish(self._create(spec))

    def describe(self, key: ProcessorKey) -> ProcessorView:
        """Raises UnknownProcessor."""
        return self._find(key).view()

    def list(self, region: str, after: str | None, limit: int) -> tuple[ProcessorView, ...]:
        """At most limit processors of the region, by name, from behind the name after."""
        names = sorted(name for at, name in self._processors if at == region)
        behind = [name for name in names if after is None or name > after]
        return tuple(self._processors[region, name].view() for name in behind[:limit])

    def views(self) -> tuple[ProcessorView, ...]:
        """Every processor of every region, in no order."""
        return tuple(processor.view() for processor in self._processors.values())

    def is_busy(self, key: ProcessorKey) -> bool:
        """Whether it is at work on a frame: on its analysis, or until its record is taken."""
        processor = self._processors.get(key)
        run = processor.run if processor is not None else None
        return run is not None and run.counters.frames_in_hand > 0

    async def start(self, key: ProcessorKey) -> None:
        """Return with STARTING on disk. Raises UnknownProcessor, IllegalTransition."""
        processor = self._find(key)
        start_at = StartAt(self._shared.config.start_at)
        beginning = Beginning(start_at, self._shared.config.start_timeout_s)
        spawn = partial(self._spawn, processor, beginning)
        await self._finish(
            self._apply(
                processor,
                Event.START,
                save=self._store.save_start,
                then=spawn,
                desired=ProcessorState.RUNNING,
                start_at=start_at,
                started_at=self._shared.clock.now(),
                checkpoint=None,
                sampled_at=None,
            )
        )

    async def stop(self, key: ProcessorKey) -> None:
        """Return with STOPPING on disk. Raises UnknownProcessor, IllegalTransition."""
        processor = self._find(key)

        def stop() -> None:
            if processor.run is not None:
                processor.run.stop()

        await self._finish(
            self._apply(processor, Event.STOP, then=stop, desired=ProcessorState.STOPPED)
        )

    async def delete(self, key: ProcessorKey) -> None:
        """Forget it altogether. Raises UnknownProcessor, IllegalTransition."""
        processor = self._find(key)
        forget = partial(self._processors.pop, key)
        await self._finish(
            self._apply(processor, Event.DELETE, save=self._store.delete, then=forget)
        )

    def _find(self, key: ProcessorKey) -> _Processor:
        try:
            return self._processors[key]
        except KeyError:
            raise _unknown(key) from None

    async def _create(self, spec: ProcessorSpec) -> None:
        async with self._creating:
            if spec.key in self._processors:
                raise ProcessorExists(f"there is a stream processor {spec.name} already")
            limit = self._shared.config.processors_max
            if sum(region == spec.region for region, _ in self._processors) >= limit:
                raise ProcessorLimit(f"{spec.region} has {limit} stream processors already")
            now = self._now()
            row = Row(spec, ProcessorState.STOPPED, ProcessorState.STOPPED, "", now, now)
            await self._store.insert(row)
            self._processors[spec.key] = _Processor(row)
        await self._changed(row, None)

    async def _apply(
        self,
        processor: _Processor,
        event: Event,
        *,
        save: Callable[[Row], Awaitable[None]] | None = None,
        then: Callable[[], object] | None = None,
        message: str = "",
        **changes: Any,
    ) -> None:
        """The one way a state changes: check, persist, act."""
        async with processor.lock:  # two callers, one winner
            if processor.row.state is ProcessorState.DELETED:
                raise _unknown(processor.row.key)
            state = next_state(processor.row.state, event)
            row = replace(
                processor.row, state=state, message=message, updated_at=self._now(), **changes
            )
            await (save or self._store.save_state)(row)  # a crash after this is recoverable
            previous, processor.row = processor.row.state, row
            if then is not None:
                then()
            await self._changed(row, previous)

    async def _changed(self, row: Row, previous: ProcessorState | None) -> None:
        log.info("processor %s is %s", row.spec.name, row.state)
        await self._shared.watcher.state_changed(row.spec, row.state, previous, row.message)

    async def _resume(self, processor: _Processor) -> None:
        row = processor.row
        position = row.resume_position
        if isinstance(position, FromServerTime):
            # A clock that was set back since must not make us wait for it to come there again.
            position = FromServerTime(min(position.timestamp, self._now()))
        beginning = Beginning(position, None, row.sampled_at)
        with suppress(IllegalTransition, UnknownProcessor):  # a caller was faster
            spawn = partial(self._spawn, processor, beginning)
            await self._apply(processor, Event.START, then=spawn)

    async def _resume_or_try_later(self, processor: _Processor) -> None:
        try:
            await self._resume(processor)
        except StoreUnavailable:
            self._in_background(self._resume_later(processor))

    async def _resume_later(self, processor: _Processor) -> None:
        try:
            await self._persistently(processor, self._resume)
        except StoreDamaged as error:
            log.error("processor %s is not resumed: %s", processor.row.spec.name, error)
            processor.row = replace(processor.row, message=str(error))

    def _spawn(self, processor: _Processor, beginning: Beginning) -> None:
        if self._closing.is_set():
            return  # the next daemon starts it
        save = partial(self._save_checkpoint, processor.row.key)
        processor.run = run = Run(processor.row.spec, self._shared, save)
        processor.task = asyncio.create_task(
            self._supervise(processor, run, beginning),
            name=f"processor {processor.row.spec.name}",
        )

    async def _supervise(self, processor: _Processor, run: Run, beginning: Beginning) -> None:
        """Own one processor from STARTING to rest."""
        region, name = processor.row.key
        with about(region=region, processor=name, request_id=None):
            event, message = await self._ran(processor, run, beginning)
            await self._rest(processor, event, message)

    async def _ran(
        self, processor: _Processor, run: Run, beginning: Beginning
    ) -> tuple[Event, str]:
        """How it ended, and what is to be said of it."""

        async def started(processor: _Processor) -> None:
            with suppress(IllegalTransition):  # a Stop came first; the run sees it next
                await self._finish(self._apply(processor, Event.STARTED))

        try:
            await run.run(beginning, partial(self._persistently, processor, started))
        except Exception as error:  # the one broad except in the code base
            cause = cause_of(error)
            message = in_words(cause)
            # What is ours explains itself; for the rest somebody will want to see where.
            trace = None if isinstance(cause, StreamprocError) else error
            log.error("processor %s: %s", processor.row.spec.name, message, exc_info=trace)
            return Event.FAILED, message
        return Event.STOPPED, run.left_behind

    async def _rest(self, processor: _Processor, event: Event, message: str) -> None:
        if event is Event.STOPPED and processor.row.state is not ProcessorState.STOPPING:
            return  # nobody stopped it: the daemon ends, and the next one resumes it
        assert processor.run is not None
        processor.run.notices.clear()

        async def at_rest(processor: _Processor) -> None:
            await self._apply(processor, event, message=message)

        try:
            await self._persistently(processor, at_rest, message)
        except StoreDamaged as error:
            log.error("processor %s: its state is not saved: %s", processor.row.spec.name, error)
            state = next_state(processor.row.state, event)
            processor.row = replace(processor.row, state=state, message=message or str(error))

    async def _persistently(
        self,
        processor: _Processor,
        change: Callable[[_Processor], Awaitable[None]],
        message: str = "",
    ) -> None:
        """Make a change that no caller waits for, however long the disk is full."""
        run = processor.run
        await insist(
            partial(change, processor),
            name=processor.row.spec.name,
            report=run.notices.slot("state") if run is not None else _unheard,
            clock=self._shared.clock,
            roll=self._shared.roll,
            closing=self._closing,
            message=message,
        )

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    async def _save_checkpoint(self, key: ProcessorKey, checkpoint: Checkpoint) -> None:
        await self._finish(self._store.save_checkpoint(key, checkpoint))

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish the work even if its caller hangs up: no change is left half done."""
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    def _now(self) -> float:
        return round(self._shared.clock.now(), 3)


def _unknown(key: ProcessorKey) -> UnknownProcessor:
    return UnknownProcessor(f"there is no stream processor {key[1]} in {key[0]}")


async def _at_rest(store: ProcessorStore, row: Row) -> Row:
    """What a daemon left in the middle of something, brought to rest."""
    if Event.INTERRUPTED not in TRANSITIONS[row.state]:
        return row
    row = replace(row, state=next_state(row.state, Event.INTERRUPTED))
    with suppress(StoreUnavailable):  # what is on disk comes to the same at the next start
        await store.save_state(row)
    return row


def _unheard(_: str) -> None:
    """The report of a processor that has no run yet."""
