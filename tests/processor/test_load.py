"""More cameras than the machine can analyse, on a machine whose speed is told by the test."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from streamproc.clock import FakeClock
from streamproc.engines.fake import FakeEngine
from streamproc.engines.scheduler import Scheduler
from streamproc.model.media import Image, MediaEvent
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.supervisor import Supervisor
from streamproc.processor.view import ProcessorView
from streamproc.settings import ProcessorsConfig, SinkConfig

Camera: TypeAlias = Callable[..., list[list[MediaEvent]]]
CAMERAS = 4
CAMERA_FPS = 10


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.0005)


class LoadedWorld(ScriptedWorld):
    """One live stream that all processors watch, and the real scheduler over one engine."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    @property
    def analyser(self) -> Any:
        return self._scheduler


class Machine:
    """Analyses so many frames in a second of the clock, while it has any."""

    def __init__(self, clock: FakeClock, camera: Camera) -> None:
        self.clock = clock
        self._camera = camera
        self._entered = self._left = 0
        self._permits = threading.Semaphore(0)
        self._filmed = 0
        self.scheduler = Scheduler(FakeEngine(before=self._analyse), threads=1)
        self.world = LoadedWorld(self.scheduler)

    def _analyse(self, _: Sequence[Image]) -> None:
        self._entered += 1
        self._permits.acquire()

    def relieve(self) -> None:
        for _ in range(10_000):
            self._permits.release()

    async def second(self, supervisor: Supervisor, frames: int) -> None:
        """Film for a second, and analyse these frames meanwhile, at even distances."""
        (fragment,) = self._camera(
            1, first=self._filmed + 1, start=self.clock.now(), size=64, fps=CAMERA_FPS
        )
        self._filmed += 1
        await self.world.stream.append(*fragment)
        for _ in range(frames):
            await until(lambda: self._entered > self._left or self._is_idle(supervisor))
            if self._entered > self._left:
                analysed = self._analysed(supervisor)
                self._left += 1
                self._permits.release()
                await until(lambda: self._analysed(supervisor) > analysed)  # noqa: B023
            await self.clock.advance(1 / frames)

    def _is_idle(self, supervisor: Supervisor) -> bool:
        counters = [view.counters for view in views(supervisor)]
        return all(
            each.frames_sampled_total == each.frames_analysed_total
            and each.frames_decoded_total + each.packets_passed_over_total
            >= CAMERA_FPS * self._filmed
            for each in counters
        )

    @staticmethod
    def _analysed(supervisor: Supervisor) -> int:
        return sum(view.counters.frames_analysed_total for view in views(supervisor))


def views(supervisor: Supervisor) -> tuple[ProcessorView, ...]:
    return supervisor.list("eu-west-1", None, 100)


@pytest.fixture
def machine(camera: Camera) -> Machine:
    return Machine(FakeClock(), camera)


@asynccontextmanager
async def cameras(
    machine: Machine, folder: Path, spec: ProcessorSpec, **settings: Any
) -> AsyncIterator[Supervisor]:
    """As many processors as there are cameras, running."""
    supervisor = await Supervisor.open(
        folder / "p.db", machine.world, ProcessorsConfig(**settings), SinkConfig(), machine.clock
    )
    try:
        for number in range(CAMERAS):
            each = replace(spec, name=f"camera-{number}")
            await supervisor.create(each)
            await supervisor.start(each.key)
        await until(lambda: len(machine.world.stream.positions) == CAMERAS)
        yield supervisor
    finally:
        machine.relieve()
        await supervisor.aclose()
        await machine.scheduler.aclose()


async def test_the_rate_falls_evenly_and_visibly_and_comes_back(
    machine: Machine, tmp_path: Path, spec: ProcessorSpec
) -> None:
    async with cameras(machine, tmp_path, spec) as supervisor:
        oldest_s = 0.0
        for _ in range(30):
            await machine.second(supervisor, frames=8)  # of the 20 that they would like
            oldest_s = max(oldest_s, *(view.counters.lag_s for view in views(supervisor)))
        loaded = views(supervisor)
        analysed = [view.counters.frames_analysed_total for view in loaded]
        assert min(analysed) >= 0.9 * max(analysed)
        for view in loaded:
            assert 1.0 <= view.counters.fps < 3.0
            rate = f"{view.counters.fps:.1f} frames a second are analysed"
            assert view.message.endswith(f"The machine cannot keep up: {rate}.")
        for _ in range(10):  # one hears of a new rate with the next frame that it samples
            if len({view.counters.fps for view in views(supervisor)}) == 1:
                break
            await machine.second(supervisor, frames=8)
        assert len({view.counters.fps for view in views(supervisor)}) == 1
        assert oldest_s < 4.0  # the first second takes two and a half

        for _ in range(100):
            await machine.second(supervisor, frames=24)
        for view in views(supervisor):
            assert (view.counters.fps, view.message) == (5.0, "")
            assert view.counters.lag_s <= 2.0


async def test_where_the_least_rate_is_too_much_all_stay_near_live_and_say_what_they_skip(
    machine: Machine, tmp_path: Path, spec: ProcessorSpec
) -> None:
    async with cameras(machine, tmp_path, spec, analysis_fps_min=2.0) as supervisor:
        oldest_s, described = 0.0, 0
        for _ in range(40):
            await machine.second(supervisor, frames=4)  # where two a second each are the least
            described += sum(view.state == "RUNNING" for view in views(supervisor))
        for _ in range(20):
            await machine.second(supervisor, frames=4)
            oldest_s = max(oldest_s, *(view.counters.lag_s for view in views(supervisor)))
        assert described == 40 * CAMERAS
        for view in views(supervisor):
            assert view.counters.gaps_total >= 1
            assert view.counters.gap_s_total > 10.0
            assert view.counters.packets_passed_over_total > 100
            assert "Video was skipped" in view.message
            assert "2.0 frames a second are analysed" in view.message
        analysed = [view.counters.frames_analysed_total for view in views(supervisor)]
        assert min(analysed) >= 0.7 * max(analysed)
        assert sum(analysed) >= 0.7 * 4 * 60  # the machine is not left idle
        assert oldest_s < 2.5  # a fragment comes whole, and takes this machine two seconds
        await until(lambda: not supervisor._unfinished)
