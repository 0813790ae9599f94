"""One job from its opening to its end: fetch, decode, look, write down what was seen.

Several frames are looked at together, what was seen is added in the order of the video. A fixed
number of decoded frames and of items is held, whatever the length of the video. Knows patience
with a source that does not answer; knows nothing of states, of failures or of other jobs.
"""

import asyncio
import itertools
import logging
import random
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.decode.picture_size import PIXELS_MAX
from streamproc.errors import TransientFailure
from streamproc.jobs.decoding import Decoding, decoding
from streamproc.jobs.ports import Analysis, JobWorld
from streamproc.jobs.schema import OpenJob
from streamproc.jobs.store import JobStore
from streamproc.model.job import Item
from streamproc.model.video import VideoFrame

log = logging.getLogger(__name__)

_ATTEMPTS_MAX = 10
_BACKOFF_S_MAX = 60.0
"""With full jitter, ten attempts to open a video take two minutes on average, and four at
most besides what the attempts take themselves."""
_FETCH_PART = 0.05
"""Of the progress; decoding and looking are the rest."""
_ITEMS_PER_BATCH = 200
_SAVE_S = 2.0


class JobRun:
    """Runs once."""

    def __init__(
        self,
        job: OpenJob,
        world: JobWorld,
        store: JobStore,
        clock: Clock,
        *,
        frames_max: int,
        pixels_max: int = PIXELS_MAX,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """frames_max: decoded frames that are held, and looked at together; pixels_max: the
        largest picture that is decoded."""
        self.progress = 0.0  # 0 to 1
        self.kind = job.spec.kind
        self._job = job
        self._world = world
        self._store = store
        self._clock = clock
        self._frames_max = frames_max
        self._pixels_max = pixels_max
        self._roll = roll

    async def run(self) -> None:
        """Return with the job SUCCEEDED on disk. Raises what stands in the way of that:
        StreamprocError in a person's words, or anything at all."""
        job, spec = self._job, self._job.spec
        # Not on the decoder's thread: models are shared with live video, and the threads that
        # they start would inherit its low priority.
        analysis = await asyncio.to_thread(self._world.analysis, job.id, spec)
        await self._store.save_model_version(job, analysis.model_version)
        async with (
            self._fetched() as path,
            decoding(path, str(spec.video), analysis.fps, self._pixels_max) as video,
        ):
            await self._store.save_metadata(job, video.metadata)
            await self._analyse(analysis, video)
        await self._store.succeed(job, await analysis.finish())

    async def _analyse(self, analysis: Analysis[Any], video: Decoding) -> None:
        batch: list[Item] = []
        saved_at = self._clock.monotonic()
        async with aclosing(self._seen(analysis, video)) as frames:
            async for timestamp_ms, seen in frames:
                batch.extend(analysis.add(timestamp_ms, seen))
                self.progress = _FETCH_PART + (1 - _FETCH_PART) * video.progress
                now = self._clock.monotonic()
                if len(batch) >= _ITEMS_PER_BATCH or now - saved_at >= _SAVE_S:
                    await self._store.results.add(self._job.key, batch, self.progress)
                    batch, saved_at = [], now
        await self._store.results.add(self._job.key, batch, self.progress)

    async def _seen(
        self, analysis: Analysis[Any], video: Decoding
    ) -> AsyncGenerator[tuple[int, Any], None]:
        """(timestamp in milliseconds, what was seen) of every frame, in their order."""
        looks: deque[tuple[int, asyncio.Task[Any]]] = deque()
        try:
            while (look := await _next_look(analysis, video)) is not None:
                looks.append(look)
                if len(looks) == self._frames_max:
                    yield await _result(looks)
            while looks:
                yield await _result(looks)
        finally:
            tasks = [task for _, task in looks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def _fetched(self) -> AsyncIterator[Path]:
        """The video as a file. Raises ObjectUnavailable, or the last of many failures to reach
        it."""
        async with AsyncExitStack() as stack:
            yield await self._fetch(stack)

    async def _fetch(self, stack: AsyncExitStack) -> Path:
        for attempt in itertools.count(1):
            try:
                return await stack.enter_async_context(self._video())
            except (TransientFailure, OSError) as error:
                reason = str(error) or type(error).__name__
                if attempt == _ATTEMPTS_MAX:
                    raise TransientFailure(f"{reason} (tried {attempt} times)") from error
                log.info("job %s waits for its video: %s", self._job.id, reason)
            pause_s = backoff_seconds(
                attempt - 1, base_s=1.0, cap_s=_BACKOFF_S_MAX, roll=self._roll
            )
            await self._clock.sleep(pause_s)
        raise AssertionError("itertools.count ended")

    def _video(self) -> AbstractAsyncContextManager[Path]:
        def fetched(part: float) -> None:
            self.progress = _FETCH_PART * part

        return self._world.video(self._job.spec, fetched)


async def _next_look(
    analysis: Analysis[Any], video: Decoding
) -> tuple[int, asyncio.Task[Any]] | None:
    """A function of its own so that nobody but the task holds the frame."""
    frame: VideoFrame | None = await video.next_frame()
    if frame is None:
        return None
    return frame.timestamp_ms, asyncio.create_task(analysis.look(frame))


async def _result(looks: deque[tuple[int, asyncio.Task[Any]]]) -> tuple[int, Any]:
    """Of the oldest; it stays among them until it is there, to be cancelled with them."""
    timestamp_ms, task = looks[0]
    seen = await task
    looks.popleft()
    return timestamp_ms, seen
