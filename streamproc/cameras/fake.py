"""A World in memory that behaves as told, for tests: no network, no media, no disk."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from streamproc.cameras.ports import ExistingProcessor
from streamproc.cameras.view import Camera, CameraStatus, FeedView
from streamproc.model.arn import data_stream_arn, video_stream_arn
from streamproc.model.processor import ProcessorKey, ProcessorSpec

ACCOUNT = "000000000000"


class ScriptedFeed:
    """A feed that is LIVE until it is stopped, or told to end or to break."""

    def __init__(self) -> None:
        self.runs = 0
        self.is_drained = False
        self.seen = FeedView()
        self._outcome: asyncio.Future[Exception | None] | None = None

    def view(self) -> FeedView:
        return self.seen

    async def run(self, stop: asyncio.Event) -> None:
        self.runs += 1
        self.seen = replace(self.seen, status=CameraStatus.LIVE)
        self._outcome = asyncio.get_running_loop().create_future()
        stopping = asyncio.ensure_future(stop.wait())
        either: set[asyncio.Future[Any]] = {stopping, self._outcome}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if stop.is_set():
            self.is_drained = True
        elif error := self._outcome.result():
            raise error

    def end(self, error: Exception | None = None) -> None:
        """As a file ends, or with an error that a feed should never raise."""
        assert self._outcome is not None, "it does not run"
        self._outcome.set_result(error)


@dataclass
class FakeWorld:
    """What there is, and how often something was asked for. Failures are raised once each."""

    collections: set[str] = field(default_factory=set)
    processors: dict[ProcessorKey, ExistingProcessor] = field(default_factory=dict)
    feeds: dict[str, ScriptedFeed] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    started: list[ProcessorKey] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    videos_made: int = 0  # part of a video stream's ARN: the instant of its creation

    def video_arn(self, camera: Camera) -> str:
        return video_stream_arn(camera.region, ACCOUNT, camera.stream, self.videos_made)

    def feed(self, camera: Camera) -> ScriptedFeed:
        return self.feeds.setdefault(camera.name, ScriptedFeed())

    async def video_stream(self, camera: Camera) -> str:
        self.asked["video_stream"] += 1
        if self.failures:
            raise self.failures.pop(0)
        return video_stream_arn(camera.region, ACCOUNT, camera.stream, self.videos_made)

    async def data_stream(self, camera: Camera) -> str:
        self.asked["data_stream"] += 1
        return data_stream_arn(camera.region, ACCOUNT, camera.data_stream)

    async def has_collection(self, camera: Camera) -> bool:
        self.asked["has_collection"] += 1
        return camera.collection in self.collections

    def role_arn(self, camera: Camera) -> str:
        return camera.role_arn or f"arn:aws:iam::{ACCOUNT}:role/any"

    def processor(self, key: ProcessorKey) -> ExistingProcessor | None:
        return self.processors.get(key)

    async def create_processor(self, spec: ProcessorSpec) -> None:
        self.asked["create_processor"] += 1
        self.processors.setdefault(spec.key, ExistingProcessor(spec, was_started=False))

    async def start_processor(self, key: ProcessorKey) -> None:
        self.started.append(key)
        if key in self.processors:
            self.processors[key] = replace(self.processors[key], was_started=True)
