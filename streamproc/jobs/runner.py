"""Every stored-video job of the daemon: taken, run in turn, and brought to an end.

First come, first served, a fixed number at once. What was promised is on disk before the caller
hears of it; however the daemon ends, the next one runs again from its beginning what this one
had not finished. One job's trouble is that job's alone.
"""

import asyncio
import itertools
import logging
import random
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable, StreamprocError
from streamproc.jobs.notices import NoticeSender
from streamproc.jobs.ports import JobWorld
from streamproc.jobs.run import JobRun
from streamproc.jobs.schema import OpenJob
from streamproc.jobs.store import JobStore
from streamproc.model.job import Aggregation, JobKind, JobSpec, JobStatus, JobView
from streamproc.model.log_context import about
from streamproc.settings import JobsConfig, MediaConfig

log = logging.getLogger(__name__)

T = TypeVar("T")

_DAY_S = 86_400.0
_SWEEP_S = 3600.0
_BACKOFF_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """One that is on its way."""

    id: str
    kind: JobKind
    progress: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class JobFigures:
    """The jobs of all regions together."""

    by_status: Mapping[JobStatus, int]  # of those that are kept
    waiting: int  # for their turn, among those IN_PROGRESS
    running: Sequence[RunningJob]  # at most jobs.running_max


class JobRunner:
    """Open it and resume(); drain() it before what the jobs use is closed, and aclose() it
    once nobody calls any more."""

    def __init__(
        self,
        store: JobStore,
        world: JobWorld,
        config: JobsConfig,
        scratch: Path,
        clock: Clock,
        frames_max: int,
        pixels_max: int,
        roll: Callable[[], float],
    ) -> None:
        self._store = store
        self._world = world
        self._config = config
        self._scratch = scratch
        self._clock = clock
        self._frames_max = frames_max
        self._pixels_max = pixels_max
        self._roll = roll
        self._notices = NoticeSender(store.outbox, world.publish, clock, roll)
        self._taking = asyncio.Lock()  # what is on disk to be run, and what waits, are one
        self._waiting: deque[OpenJob] = deque()
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by the key of the job
        self._runs: dict[str, JobRun] = {}  # by its id
        self._troubles: dict[str, str] = {}  # by its id, while it waits to be run once more
        self._alone = False  # a job runs that must have no other beside it
        self._chores: list[asyncio.Task[None]] = []
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._working = False

    @classmethod
    async def open(
        cls,
        path: Path,
        world: JobWorld,
        config: JobsConfig,
        scratch: Path,
        clock: Clock,
        *,
        media: MediaConfig = MediaConfig(),
        frames_max: int = 4,
        roll: Callable[[], float] = random.random,
    ) -> Self:
        """Nothing runs yet. scratch is a folder for fetched videos, ours alone; frames_max says
        how many decoded frames each running job holds. Raises StoreDamaged."""
        if not 1 <= frames_max <= 64:
            raise ValueError(f"frames_max {frames_max} must be between 1 and 64")
        store = await JobStore.open(path, clock, config.results_kept_days * _DAY_S)
        pixels_max = media.picture_pixels_max
        return cls(store, world, config, scratch, clock, frames_max, pixels_max, roll)

    async def resume(self) -> None:
        """Begin to work, with what an earlier daemon has left first. Returns at once."""
        await asyncio.to_thread(_empty, self._scratch)
        async with self._taking:
            known = await self._store.open_jobs()
            self._waiting = deque(job for job in known if job.starts < self._config.starts_max)
            self._working = True
        for chore in (self._notices.run(), self._sweep(), self._give_up(known)):
            self._chores.append(asyncio.create_task(chore))
        self._dispatch()

    async def drain(self) -> None:
        """Bring to rest what runs. On disk it is IN_PROGRESS still: the next daemon runs it
        again, and what is started from here on."""
        self._working = False
        tasks = [*self._tasks.values(), *self._chores]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Drain, and finish what callers have begun."""
        await self.drain()
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        await self._store.aclose()

    async def start(self, spec: JobSpec, token: str | None = None) -> str:
        """Return the job's id with the job on disk; that of the job which the token has asked
        for before. Raises TooManyJobs, TokenMismatch."""
        return await self._finish(self._start(spec, token))

    async def find(self, spec: JobSpec, token: str) -> str | None:
        """The id of the job that the token has asked for before. Raises TokenMismatch."""
        return await self._store.find(spec, token)

    async def get(self, region: str, job_id: str, kind: JobKind | None = None) -> JobView:
        """Raises UnknownJob; a job of another kind or region is unknown."""
        return self._live(await self._store.get(region, job_id, kind))

    async def list_jobs(
        self, region: str, after: tuple[float, str] | None, limit: int
    ) -> list[JobView]:
        """Newest first, at most limit, those behind the (created_at, id) after."""
        found = await self._store.list_jobs(region, after, limit)
        return [self._live(view) for view in found]

    async def figures(self) -> JobFigures:
        """As they stand. Raises StoreUnavailable."""
        running = [RunningJob(id_, run.kind, run.progress) for id_, run in self._runs.items()]
        return JobFigures(await self._store.counts(), len(self._waiting), running)

    async def page(
        self, job_id: str, aggregation: Aggregation, *, by_key: bool, offset: int, limit: int
    ) -> list[dict[str, Any]]:
        """Items of a job that SUCCEEDED, from the place offset on; of any other job none. See
        JobStore.page for their order."""
        return await self._store.page(
            job_id, aggregation, by_key=by_key, offset=offset, limit=limit
        )

    async def _start(self, spec: JobSpec, token: str | None) -> str:
        new_id = secrets.token_hex(32)
        async with self._taking:
            job = await self._store.insert(new_id, spec, token, self._config.open_max)
            if isinstance(job, str):
                return job
            if self._working:  # if not, resume() or the next daemon finds it
                self._waiting.append(job)
        log.info("job %s: %s of %s", job.id, spec.kind, spec.video)
        self._dispatch()
        return job.id

    def _live(self, view: JobView) -> JobView:
        """With what it waits for, and the progress of this moment, not that of the last batch
        on disk."""
        if view.status is not JobStatus.IN_PROGRESS:
            return view
        if view.id in self._troubles:
            return replace(view, message=self._troubles[view.id])
        run = self._runs.get(view.id)
        return view if run is None else replace(view, progress=max(view.progress, run.progress))

    def _dispatch(self) -> None:
        while self._working and self._waiting and self._may_run(self._waiting[0]):
            job = self._waiting.popleft()
            self._alone = self._is_suspect(job)
            task = asyncio.create_task(self._own(job), name=f"job {job.id}")
            self._tasks[job.key] = task
            task.add_done_callback(partial(self._done, job))

    def _may_run(self, job: OpenJob) -> bool:
        if self._is_suspect(job):
            return not self._tasks
        return not self._alone and len(self._tasks) < self._config.running_max

    def _is_suspect(self, job: OpenJob) -> bool:
        """A job that one more crash would end runs alone, so that none dies of another's
        video."""
        return 0 < job.starts == self._config.starts_max - 1

    def _done(self, job: OpenJob, _: asyncio.Task[None]) -> None:
        del self._tasks[job.key]
        self._alone = self._alone and bool(self._tasks)
        self._notices.wake()
        self._dispatch()

    async def _own(self, job: OpenJob) -> None:
        """Own one job from its start to its end."""
        try:
            with about(region=job.spec.region, job=job.id, request_id=None):
                await self._bring_to_an_end(job)
        except asyncio.CancelledError:
            await self._rest(job)
            raise

    async def _bring_to_an_end(self, job: OpenJob) -> None:
        """Run it; from its beginning once more, as often as a disk refuses: that heals."""
        for attempt in itertools.count():
            try:
                await self._run(job)
                return
            except StoreUnavailable as error:
                log.warning("job %s waits, and runs from its beginning then: %s", job.id, error)
                await self._wait(job, attempt, str(error))
            except Exception as error:  # the one broad except: the runner lives on
                # What is ours explains itself; for the rest somebody will want to see where.
                trace = None if isinstance(error, StreamprocError) else error
                log.error("job %s: %s", job.id, _in_words(error), exc_info=trace)
                await self._fail(job, _in_words(error))
                return

    async def _run(self, job: OpenJob) -> None:
        run = self._runs[job.id] = JobRun(
            job, self._world, self._store, self._clock,
            frames_max=self._frames_max, pixels_max=self._pixels_max, roll=self._roll,
        )  # fmt: skip
        try:
            await self._store.begin(job)
            await run.run()
        finally:
            del self._runs[job.id]
        log.info("job %s SUCCEEDED", job.id)

    async def _wait(self, job: OpenJob, attempt: int, trouble: str) -> None:
        """Its turn is kept: the disk is that of all jobs."""
        self._troubles[job.id] = trouble
        try:
            await self._pause(attempt)
        finally:
            del self._troubles[job.id]

    async def _pause(self, attempt: int) -> None:
        pause_s = backoff_seconds(attempt, base_s=1.0, cap_s=_BACKOFF_S_MAX, roll=self._roll)
        await self._clock.sleep(pause_s)

    async def _fail(self, job: OpenJob, message: str) -> None:
        """Until it is written: a job that cannot even fail must not look as if it ran on."""
        for attempt in itertools.count():
            try:
                await self._store.fail(job, message)
                return
            except (SQLAlchemyError, StoreUnavailable, StoreDamaged):
                log.exception("job %s: its failure is not saved; trying again", job.id)
            await self._pause(attempt)

    async def _rest(self, job: OpenJob) -> None:
        try:
            await self._store.rest(job)
        except (SQLAlchemyError, StoreUnavailable, StoreDamaged):
            log.exception("job %s: that it was stopped is not saved", job.id)

    async def _give_up(self, known: list[OpenJob]) -> None:
        """Fail the jobs that daemons keep ending in."""
        for job in known:
            if job.starts >= self._config.starts_max:
                message = (
                    f"the daemon ended in it {job.starts} times, so it is not run again; its log "
                    f"may tell why (jobs.starts_max = {self._config.starts_max})"
                )
                log.error("job %s: %s", job.id, message)
                await self._fail(job, message)
                self._notices.wake()

    async def _sweep(self) -> None:
        while True:
            try:
                count = await self._store.expire()
            except (SQLAlchemyError, StoreUnavailable, StoreDamaged):
                log.exception("past results of jobs are not deleted; trying again in an hour")
            else:
                if count:
                    log.info("results of %d jobs were kept long enough and are gone", count)
            await self._clock.sleep(_SWEEP_S)

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish the work even if its caller hangs up: no job is taken and not run."""
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)


def _in_words(error: Exception) -> str:
    """The StatusMessage of a failure. Ours are written for a person; what is not ours gets its
    name and the way to more."""
    if isinstance(error, StreamprocError):
        return str(error)
    return (
        f"internal error, {type(error).__name__}: {error}. The daemon's log tells more; "
        "starting the job again may help"
    )


def _empty(folder: Path) -> None:
    """Make the folder, without anything in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
