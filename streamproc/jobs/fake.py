"""A JobWorld that behaves as told, for tests: real video files, no models, no network.

What is seen of a frame is its brightness, so what a job finds can be told from the video.
Opening can fail, looking can wait at a moment of the video, topics can refuse or not answer.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from streamproc.errors import ObjectUnavailable, TransientFailure
from streamproc.jobs.ports import Notice, Outcome
from streamproc.model.job import Item, JobSpec
from streamproc.model.video import VideoFrame

Part: TypeAlias = Literal["analysis", "video", "look"]

Find: TypeAlias = Callable[[int, int], Iterable[Item]]
"""(timestamp in milliseconds, brightness from 0 to 255) to items."""


def one_item(timestamp_ms: int, brightness: int) -> Iterable[Item]:
    """One item per frame."""
    yield Item(timestamp_ms, {"Seen": {"Brightness": brightness}})


class ScriptedAnalysis:
    """Finds what its world says."""

    def __init__(self, world: "ScriptedJobWorld", fps: float, model_version: str) -> None:
        self.fps = fps
        self.model_version = model_version
        self._world = world

    async def look(self, frame: VideoFrame) -> int:
        return await self._world.looked_at(frame)

    def add(self, timestamp_ms: int, seen: int) -> Iterable[Item]:
        return self._world.find(timestamp_ms, seen)

    async def finish(self) -> Outcome:
        return self._world.outcome


class ScriptedJobWorld:
    """Videos by object name, one analysis for every kind of job."""

    def __init__(self, videos: dict[str, Path] | None = None, fps: float = 10.0) -> None:
        self.videos = videos or {}
        self.fps = fps
        self.model_version = "7.0"
        self.find: Find = one_item
        self.outcome = Outcome()
        self.started: list[str] = []  # ids, each time that a job is begun
        self.open = 0  # videos that are open at present
        self.open_most = 0
        self.looking = 0  # frames that are looked at at present
        self.looking_most = 0
        self.asked: list[str] = []  # topics, each time that one is to be told something
        self.published: list[Notice] = []  # accepted
        self.held = asyncio.Event()  # set when a look waits
        self._hold_from_ms: float = float("inf")
        self._released = asyncio.Event()
        self._failures: dict[Part, deque[Exception]] = defaultdict(deque)
        self._refusals: dict[str, deque[str]] = defaultdict(deque)
        self._silent: dict[str, asyncio.Event] = {}

    def hold(self, from_ms: float = 0) -> None:
        """Looks at frames from here on wait."""
        self._hold_from_ms = from_ms
        self.held.clear()
        self._released.clear()

    def release(self) -> None:
        self._hold_from_ms = float("inf")
        self._released.set()

    def fail(self, part: Part, *errors: Exception) -> None:
        """This part raises these, one each time, before it goes well."""
        self._failures[part].extend(errors)

    def refuse(self, topic_arn: str, *reasons: str) -> None:
        """The topic refuses this often, with these reasons, before it accepts."""
        self._refusals[topic_arn].extend(reasons)

    def silence(self, topic_arn: str) -> None:
        """The topic does not answer any more."""
        self._silent[topic_arn] = asyncio.Event()

    def answer(self, topic_arn: str) -> None:
        """It does again, those too who have asked meanwhile."""
        self._silent.pop(topic_arn).set()

    def analysis(self, job_id: str, spec: JobSpec) -> ScriptedAnalysis:  # noqa: ARG002 (as the port has it)
        self.started.append(job_id)
        self._raise("analysis")
        return ScriptedAnalysis(self, self.fps, self.model_version)

    @asynccontextmanager
    async def video(self, spec: JobSpec, fetched: Callable[[float], None]) -> AsyncIterator[Path]:
        self._raise("video")
        if spec.video.name not in self.videos:
            raise ObjectUnavailable(f"{spec.video} is not there")
        self.open += 1
        self.open_most = max(self.open, self.open_most)
        try:
            fetched(1.0)
            yield self.videos[spec.video.name]
        finally:
            self.open -= 1

    async def publish(self, notice: Notice) -> None:
        self.asked.append(notice.topic_arn)
        if notice.topic_arn in self._silent:
            await self._silent[notice.topic_arn].wait()
        if self._refusals[notice.topic_arn]:
            raise TransientFailure(self._refusals[notice.topic_arn].popleft())
        self.published.append(notice)

    def told(self, topic_arn: str) -> Sequence[str]:
        """The ids of the jobs that a topic was told of, in order."""
        return [notice.job_id for notice in self.published if notice.topic_arn == topic_arn]

    async def looked_at(self, frame: VideoFrame) -> int:
        self.looking += 1
        self.looking_most = max(self.looking, self.looking_most)
        try:
            if frame.timestamp_ms >= self._hold_from_ms:
                self.held.set()
                await self._released.wait()
            await asyncio.sleep(0)
            self._raise("look")
            return round(float(frame.image.mean()))
        finally:
            self.looking -= 1

    def _raise(self, part: Part) -> None:
        if self._failures[part]:
            raise self._failures[part].popleft()
