"""One engine for everyone: pictures are taken fairly from all who have some waiting.

Knows owners (a processor, the API) and threads; knows nothing of faces. An owner waits for
its own pictures, so each has only as many waiting as it asks for at once, and none can keep
another from its turn: turns go round the owners that have work.
"""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from streamproc.engines.base import FaceEngine
from streamproc.engines.runtime import inference_threads
from streamproc.errors import EngineError
from streamproc.model.face import Face
from streamproc.model.media import Image


@dataclass(slots=True, eq=False)
class _Job:
    image: Image
    owner: str
    attributes: bool
    result: asyncio.Future[list[Face]] = field(repr=False)


class Scheduler:
    """Runs an engine on its own threads; lives on one event loop."""

    def __init__(self, engine: FaceEngine, threads: int = 0) -> None:
        """threads: pictures analysed at once; 0 means one per core."""
        self._engine = engine
        self.threads = inference_threads(threads)
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="inference")
        self._waiting: dict[str, deque[_Job]] = {}
        self._turns: deque[str] = deque()  # owners with work waiting, next first
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    async def analyse(self, image: Image, owner: str, *, attributes: bool = False) -> list[Face]:
        """The faces of a picture, largest first; attributes as FaceEngine has it.

        A caller that is cancelled takes its picture back, unless it is on a thread already.
        Raises what the engine raises, and EngineError once the scheduler is closed.
        """
        if self._closed:
            raise EngineError("the engine is shutting down")
        job = _Job(image, owner, attributes, asyncio.get_running_loop().create_future())
        self._enqueue(job)
        self._dispatch()
        try:
            return await job.result
        finally:
            self._withdraw(job)

    async def aclose(self) -> None:
        """Refuse what waits, finish what runs, and end the threads."""
        self._closed = True
        for jobs in self._waiting.values():
            for job in jobs:
                if not job.result.done():
                    job.result.set_exception(EngineError("the engine is shutting down"))
        self._waiting.clear()
        self._turns.clear()
        if self._running:
            await asyncio.wait(self._running)
        self._executor.shutdown(wait=False)

    def _enqueue(self, job: _Job) -> None:
        if job.owner not in self._waiting:
            self._waiting[job.owner] = deque()
            self._turns.append(job.owner)
        self._waiting[job.owner].append(job)

    def _withdraw(self, job: _Job) -> None:
        jobs = self._waiting.get(job.owner)
        if jobs and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.owner]
                self._turns.remove(job.owner)

    def _dispatch(self) -> None:
        while self._turns and len(self._running) < self.threads:
            owner = self._turns.popleft()
            jobs = self._waiting[owner]
            job = jobs.popleft()
            if jobs:
                self._turns.append(owner)
            else:
                del self._waiting[owner]
            task = asyncio.create_task(self._run(job))
            self._running.add(task)
            task.add_done_callback(self._finished)

    async def _run(self, job: _Job) -> None:
        work = partial(self._engine.analyse, [job.image], attributes=job.attributes)
        loop = asyncio.get_running_loop()
        try:
            (faces,) = await loop.run_in_executor(self._executor, work)
        except Exception as error:
            if not job.result.done():
                job.result.set_exception(error)
        else:
            if not job.result.done():
                job.result.set_result(faces)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._dispatch()
