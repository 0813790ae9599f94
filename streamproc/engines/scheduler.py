"""One set of inference threads for everyone: work is taken fairly from all who have some waiting.

Knows owners (a processor, the API, a job) and threads; knows nothing of what the work is. An
owner waits for its own work, so each has only as much waiting as it asks for at once, and none
can keep another from its turn: turns go round the owners that have work. Background work
(stored video) gets a thread when nobody else wants one; and while live work comes in, one
thread is kept free of it, so that a live frame never waits for a stored one to end.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from streamproc.aio import do_and_tell, settle
from streamproc.engines.base import FaceEngine
from streamproc.engines.figures import SchedulerFigures
from streamproc.engines.live import LiveView
from streamproc.engines.runtime import inference_threads
from streamproc.errors import EngineError
from streamproc.model.face import Face
from streamproc.model.media import Image

T = TypeVar("T")

_LIVE_S = 5.0
"""How long after live work the thread that is kept for it stays free. A processor that analyses
at its slowest, once a second, keeps it."""


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    owner: str
    background: bool
    result: asyncio.Future[Any] = field(repr=False)
    queued: float  # loop time
    started: float = 0.0  # loop time


class _Turns:
    """Owners with work waiting, the next one first."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[_Job]] = {}
        self._owners: deque[str] = deque()

    def __bool__(self) -> bool:
        return bool(self._owners)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, job: _Job) -> None:
        if job.owner not in self._waiting:
            self._waiting[job.owner] = deque()
            self._owners.append(job.owner)
        self._waiting[job.owner].append(job)

    def take(self) -> _Job:
        owner = self._owners.popleft()
        jobs = self._waiting[owner]
        job = jobs.popleft()
        if jobs:
            self._owners.append(owner)
        else:
            del self._waiting[owner]
        return job

    def withdraw(self, job: _Job) -> None:
        jobs = self._waiting.get(job.owner)
        if jobs and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.owner]
                self._owners.remove(job.owner)

    def empty(self) -> list[_Job]:
        jobs = [job for waiting in self._waiting.values() for job in waiting]
        self._waiting.clear()
        self._owners.clear()
        return jobs


class Scheduler:
    """Runs an engine, and other models, on its own threads; lives on one event loop."""

    def __init__(self, engine: FaceEngine, threads: int = 0) -> None:
        """threads: pieces of work done at once; 0 means one per core."""
        self._engine = engine
        self.threads = inference_threads(threads)
        self.figures = SchedulerFigures()
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="inference")
        self._live, self._stored = _Turns(), _Turns()
        self._running: set[_Job] = set()
        self._stored_running = 0
        self._live_until = 0.0  # loop time
        self._closed = False
        self._at_rest = asyncio.Event()  # closed, and nothing is on a thread any more

    async def analyse(
        self,
        image: Image,
        owner: str,
        *,
        attributes: bool = False,
        embeddings: bool = True,
        background: bool = False,
    ) -> list[Face]:
        """The faces of a picture, largest first; attributes and embeddings as FaceEngine has
        them, the rest as run()."""
        work = partial(self._engine.analyse, [image], attributes=attributes, embeddings=embeddings)
        (faces,) = await self.run(work, owner, background=background)
        return faces

    def view(self, owner: str) -> "ScheduledView":
        """A camera's pictures, looked at one after the other on this owner's turns."""
        return ScheduledView(self, self._engine, owner)

    async def run(self, work: Callable[[], T], owner: str, *, background: bool = False) -> T:
        """What the work returns, done on an inference thread. An owner's work is either all in
        the background or none of it.

        A caller that is cancelled takes its work back, unless it is on a thread already.
        Raises what the work raises, and EngineError once the scheduler is closed.
        """
        if self._closed:
            raise EngineError("the engine is shutting down")
        loop = asyncio.get_running_loop()
        job = _Job(work, owner, background, loop.create_future(), loop.time())
        turns = self._stored if background else self._live
        turns.add(job)
        self._dispatch()
        try:
            return await job.result  # type: ignore[no-any-return]
        finally:
            turns.withdraw(job)
            del job, work  # a failure's traceback leads here, and they to it and to a picture

    @property
    def busy(self) -> int:
        """Threads at work."""
        return len(self._running)

    def queued(self, *, background: bool) -> int:
        """Pieces of work that wait for a thread."""
        return len(self._stored if background else self._live)

    def stuck(self, limit_s: float) -> str:
        """What has been on a thread for more than limit_s seconds, in words; "" if nothing."""
        now = asyncio.get_running_loop().time()
        for job in self._running:
            if now - job.started > limit_s:
                return (
                    f"work for {job.owner} has been on an inference thread for "
                    f"{now - job.started:.0f} s and does not end"
                )
        return ""

    async def aclose(self) -> None:
        """Refuse what waits, finish what runs, and end the threads."""
        self._closed = True
        for job in (*self._live.empty(), *self._stored.empty()):
            if not job.result.done():
                job.result.set_exception(EngineError("the engine is shutting down"))
        if self._running:
            await self._at_rest.wait()
        self._executor.shutdown(wait=False)

    def _dispatch(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._live:
            self._live_until = now + _LIVE_S
        while len(self._running) < self.threads:
            if self._live:
                job = self._live.take()
            elif self._stored and self._stored_running < self._stored_max(now):
                job = self._stored.take()
                self._stored_running += 1
            else:
                return
            job.started = now
            ring = self.figures.ring(background=job.background)
            ring.waiting.observe(max(0.0, now - job.queued))
            self._running.add(job)
            ended = partial(self._ended, job)
            try:
                self._executor.submit(do_and_tell, asyncio.get_running_loop(), job.work, ended)
            except RuntimeError as error:  # no thread can be started
                self._ended(job, None, error)

    def _stored_max(self, now: float) -> int:
        """Threads that background work may have at once. A single thread is shared."""
        return self.threads if now >= self._live_until else max(1, self.threads - 1)

    def _ended(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if job not in self._running:
            return  # it was given up, and a thread that came later has done it all the same
        self._running.remove(job)
        self._stored_running -= job.background
        working_s = asyncio.get_running_loop().time() - job.started
        self.figures.ring(background=job.background).working.observe(working_s)
        settle(job.result, result, error)
        if self._live or self._stored:
            # Behind its owner, who may ask for the next thing first and then has its turn too.
            asyncio.get_running_loop().call_soon(self._dispatch)
        if self._closed and not self._running:
            self._at_rest.set()


class ScheduledView:
    """A LiveView whose pictures are looked at on the scheduler's threads, one at a time."""

    def __init__(self, scheduler: Scheduler, engine: FaceEngine, owner: str) -> None:
        self._scheduler = scheduler
        self._engine = engine
        self._owner = owner
        self._view = LiveView()

    async def analyse(self, image: Image, timestamp_s: float) -> list[Face]:
        """The faces of the next picture, as LiveView.analyse() has them. Raises as run() does;
        the picture may then be tried again."""
        work = partial(self._view.analyse, self._engine, image, timestamp_s)
        return await self._scheduler.run(work, self._owner)
