"""A disk that refuses for a while costs no record and no processor; one that is damaged says so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from streamproc.clock import FakeClock, SystemClock
from streamproc.engines.fake import FakeEngine
from streamproc.errors import PermanentFailure, StoreDamaged, StoreUnavailable
from streamproc.model.media import MediaEvent
from streamproc.model.position import AfterFragment, StartAt
from streamproc.model.processor import ProcessorSpec
from streamproc.processor import keeper
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.keeper import CheckpointKeeper
from streamproc.processor.store import ProcessorStore
from streamproc.processor.supervisor import Supervisor
from streamproc.settings import ProcessorsConfig, SinkConfig

Camera: TypeAlias = Callable[..., list[list[MediaEvent]]]
FULL = StoreUnavailable("the database processors.db cannot be written: the disk is full")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.002)


class Disk:
    """Refuses every write while it is full."""

    def __init__(self, store: ProcessorStore) -> None:
        self.trouble: Exception | None = None
        self.refused = 0
        for name in ("insert", "save_state", "save_start", "save_checkpoint", "delete"):
            setattr(store, name, self._guarded(getattr(store, name)))

    def _guarded(self, write: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def guarded(*arguments: Any) -> None:
            if self.trouble is not None:
                self.refused += 1
                raise self.trouble
            await write(*arguments)

        return guarded


@pytest.fixture
def world() -> ScriptedWorld:
    return ScriptedWorld(FakeEngine())


Daemon: TypeAlias = Callable[[], Any]


@pytest.fixture
def daemon(tmp_path: Path, world: ScriptedWorld) -> Daemon:
    """A supervisor on one and the same disk, from a start to an orderly end."""

    @asynccontextmanager
    async def live() -> AsyncIterator[tuple[Supervisor, Disk]]:
        supervisor = await Supervisor.open(
            tmp_path / "processors.db", world, ProcessorsConfig(start_at="earliest"), SinkConfig(),
            SystemClock(), roll=lambda: 0.01,
        )  # fmt: skip
        disk = Disk(supervisor._store)
        await supervisor.resume_all()
        try:
            yield supervisor, disk
        finally:
            await supervisor.aclose()

    return live


async def test_a_caller_hears_of_a_full_disk_and_nothing_has_changed(
    daemon: Daemon, spec: ProcessorSpec
) -> None:
    async with daemon() as (supervisor, disk):
        disk.trouble = FULL
        with pytest.raises(StoreUnavailable):
            await supervisor.create(spec)
        disk.trouble = None
        await supervisor.create(spec)
        for call, state in ((supervisor.start, "STOPPED"), (supervisor.delete, "STOPPED")):
            disk.trouble = FULL
            with pytest.raises(StoreUnavailable):
                await call(spec.key)
            assert supervisor.describe(spec.key).state == state
        disk.trouble = None
        await supervisor.start(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
        disk.trouble = FULL
        with pytest.raises(StoreUnavailable):
            await supervisor.stop(spec.key)
        assert supervisor.describe(spec.key).state == "RUNNING"
        disk.trouble = None
        await supervisor.stop(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "STOPPED")


async def test_records_go_on_while_the_checkpoint_cannot_be_saved(
    daemon: Daemon, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera
) -> None:
    footage = camera(4)
    async with daemon() as (supervisor, disk):
        await supervisor.create(spec)
        await supervisor.start(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
        disk.trouble = FULL
        await world.stream.append(*(event for fragment in footage for event in fragment))
        await until(lambda: len(world.data.entries) == 20)
        view = supervisor.describe(spec.key)
        assert view.state == "RUNNING"
        assert "cannot be saved, trying again: the database processors.db" in view.message
        disk.trouble = None
        await until(lambda: supervisor.describe(spec.key).message == "")
    async with daemon() as (supervisor, _):
        await until(lambda: world.stream.positions == [StartAt.EARLIEST, AfterFragment("3")])


async def test_a_run_that_ends_while_its_state_cannot_be_saved_comes_to_rest_later(
    daemon: Daemon, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    async with daemon() as (supervisor, disk):
        await supervisor.create(spec)
        await supervisor.start(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
        disk.trouble = FULL
        await world.stream.append(PermanentFailure("Collection not found"))
        await until(lambda: disk.refused > 2)
        view = supervisor.describe(spec.key)
        assert view.state == "RUNNING"  # what is on disk: a restart would try again
        assert view.message.startswith("Collection not found Its state cannot be saved")
        disk.trouble = None
        await until(lambda: supervisor.describe(spec.key).state == "FAILED")
        assert supervisor.describe(spec.key).message == "Collection not found"
    async with daemon() as (supervisor, _):
        assert supervisor.describe(spec.key).state == "FAILED"


async def test_the_daemon_ends_though_the_disk_stays_full(
    daemon: Daemon, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    async with daemon() as (supervisor, disk):
        await supervisor.create(spec)
        await supervisor.start(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
        disk.trouble = FULL
        await world.stream.append(PermanentFailure("Collection not found"))
        await until(lambda: disk.refused > 0)
    assert world.open == 0
    async with daemon() as (supervisor, _):  # it still was to run, and it tries
        await until(lambda: len(world.stream.positions) == 2)


async def test_opening_waits_for_the_disk_and_reads_nothing_before(
    daemon: Daemon, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    world.gate.clear()
    async with daemon() as (supervisor, disk):
        await supervisor.create(spec)
        await supervisor.start(spec.key)
        disk.trouble = FULL
        world.gate.set()
        await until(lambda: "state cannot be saved" in supervisor.describe(spec.key).message)
        assert supervisor.describe(spec.key).state == "STARTING"
        assert world.stream.positions == []
        disk.trouble = None
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
        await until(lambda: world.stream.positions == [StartAt.EARLIEST])
        assert supervisor.describe(spec.key).message == ""


async def test_resuming_waits_for_the_disk(
    daemon: Daemon, spec: ProcessorSpec, tmp_path: Path, world: ScriptedWorld
) -> None:
    async with daemon() as (supervisor, _):
        await supervisor.create(spec)
        await supervisor.start(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
    supervisor = await Supervisor.open(
        tmp_path / "processors.db", world, ProcessorsConfig(), SinkConfig(), SystemClock(),
        roll=lambda: 0.01,
    )  # fmt: skip
    disk = Disk(supervisor._store)
    disk.trouble = FULL
    await supervisor.resume_all()
    await until(lambda: disk.refused > 2)
    assert supervisor.describe(spec.key).state == "STOPPED"
    disk.trouble = None
    await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
    disk.trouble = FULL  # and the end of the daemon waits for nothing
    await supervisor.aclose()


async def test_a_damaged_store_fails_the_processor_in_its_own_words(
    daemon: Daemon, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera
) -> None:
    async with daemon() as (supervisor, disk):
        await supervisor.create(spec)
        await supervisor.start(spec.key)
        await until(lambda: supervisor.describe(spec.key).state == "RUNNING")
        disk.trouble = StoreDamaged("the database processors.db cannot be read; restore it")
        await world.stream.append(*(event for fragment in camera(3) for event in fragment))
        await until(lambda: supervisor.describe(spec.key).state == "FAILED")
        message = supervisor.describe(spec.key).message
        assert message == "the database processors.db cannot be read; restore it"


# --- the keeper alone --------------------------------------------------------------------


class HangingDisk:
    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.saved: list[Checkpoint] = []

    async def save(self, checkpoint: Checkpoint) -> None:
        await self.answers.wait()
        self.saved.append(checkpoint)


def pass_fragment(kept: CheckpointKeeper, number: str) -> None:
    kept.tracker.started(number)
    kept.tracker.completed(number)
    kept.tracker.drained()


async def test_no_record_waits_long_for_a_disk_that_hangs() -> None:
    clock, disk, told = FakeClock(), HangingDisk(), list[str]()
    kept = CheckpointKeeper(disk.save, clock, lambda: 1.0, told.append)
    await kept.before_send()  # nothing to save yet
    pass_fragment(kept, "1")
    sending = asyncio.create_task(kept.before_send())
    await clock.advance(keeper.SAVE_S_MAX - 0.1)
    assert not sending.done()
    await clock.advance(0.2)
    assert sending.done()
    assert "the disk has not answered for 2 s" in told[-1]
    await kept.before_send()  # nor does the next, for the same disk
    running = asyncio.create_task(kept.run())
    disk.answers.set()
    await until(lambda: disk.saved == [Checkpoint("1")])
    await until(lambda: told[-1] == "")
    pass_fragment(kept, "2")
    await kept.before_send()
    assert disk.saved[-1] == Checkpoint("2")
    running.cancel()
