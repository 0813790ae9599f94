"""A sink over a client that fails as told, on a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from streamproc.clock import FakeClock
from streamproc.model.record import Entry
from streamproc.settings import SinkConfig
from streamproc.sink.fake import FakeKinesis, Outcome
from streamproc.sink.figures import SinkFigures
from streamproc.sink.kinesis import KinesisSink

T = TypeVar("T")
STREAM_ARN = "arn:aws:kinesis:eu-west-1:111122223333:stream/faces"


@dataclass
class Bench:
    """The sink, and what it did."""

    sink: KinesisSink
    kinesis: FakeKinesis
    clock: FakeClock
    delivered: list[Entry] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    figures: SinkFigures = field(default_factory=SinkFigures)

    async def put_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            await self.sink.put(entry)

    async def until_done(self, work: Awaitable[T]) -> T:
        """Let time pass until the work is done; fail if an hour does not do."""
        task = asyncio.ensure_future(work)
        for _ in range(3600):
            await self.clock.advance(1.0)
            if task.done():
                return task.result()
        task.cancel()
        raise AssertionError("not done within an hour")


OpenBench = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def open_bench() -> OpenBench:
    """open_bench(outcomes, roll=0.5, **settings of [sink]): an async context."""

    @asynccontextmanager
    async def opened(
        outcomes: Sequence[Outcome] = (), roll: float = 0.5, **settings: Any
    ) -> AsyncIterator[Bench]:
        kinesis, clock = FakeKinesis(outcomes), FakeClock()
        delivered: list[Entry] = []
        reports: list[str] = []
        figures = SinkFigures()
        async with KinesisSink(
            kinesis,
            STREAM_ARN,
            SinkConfig(**settings),
            delivered.extend,
            reports.append,
            clock,
            lambda: roll,
            figures=figures,
        ) as sink:
            yield Bench(sink, kinesis, clock, delivered, reports, figures)

    return opened
