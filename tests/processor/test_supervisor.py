"""What a user of processors may rely on, whatever fails and however the daemon ends."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from streamproc.clock import FakeClock
from streamproc.engines.fake import FakeEngine
from streamproc.errors import OutOfReach, PermanentFailure, TransientFailure
from streamproc.model.log_context import about, log_context
from streamproc.model.media import MediaEvent
from streamproc.model.position import AfterFragment, FromServerTime, StartAt
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.fake import Part, ScriptedWorld
from streamproc.processor.ports import Unwatched
from streamproc.processor.state import IllegalTransition
from streamproc.processor.store import Row
from streamproc.processor.supervisor import (
    ProcessorExists,
    ProcessorLimit,
    Supervisor,
    UnknownProcessor,
)
from streamproc.settings import ProcessorsConfig, SinkConfig

Camera: TypeAlias = Callable[..., list[list[MediaEvent]]]
Open: TypeAlias = Callable[..., Awaitable[Supervisor]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (no one event tells)
            await asyncio.sleep(0.002)


async def reaches(supervisor: Supervisor, spec: ProcessorSpec, state: str) -> str:
    """Wait for the state; return its StatusMessage."""
    await until(lambda: supervisor.describe(spec.key).state == state)
    return supervisor.describe(spec.key).message


def seen(world: ScriptedWorld) -> list[tuple[str, float]]:
    """(fragment number, offset) of every record so far"""
    videos = [record["InputInformation"]["KinesisVideo"] for record in world.data.records]
    return [(video["FragmentNumber"], round(video["FrameOffsetInSeconds"], 1)) for video in videos]


async def crash(supervisor: Supervisor) -> None:
    """What is left of a supervisor after kill -9: what was on disk at that moment."""
    tasks = [p.task for p in supervisor._processors.values() if p.task is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*supervisor._unfinished, return_exceptions=True)
    await supervisor._store.aclose()
    supervisor._threads.shutdown(wait=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world() -> ScriptedWorld:
    return ScriptedWorld(FakeEngine(), people={1: "alice"})


@pytest.fixture
async def opened(
    tmp_path: Path, world: ScriptedWorld, clock: FakeClock
) -> AsyncIterator[Callable[..., Awaitable[Supervisor]]]:
    """Open a supervisor on the same disk; those still open at the end are crashed."""
    alive: list[Supervisor] = []

    async def open_supervisor(**settings: Any) -> Supervisor:
        config = ProcessorsConfig(**settings)
        supervisor = await Supervisor.open(
            tmp_path / "processors.db", world, config, SinkConfig(), clock, roll=lambda: 1.0
        )
        alive.append(supervisor)
        return supervisor

    yield open_supervisor
    world.closing.set()
    for supervisor in alive:
        await crash(supervisor)


async def running(supervisor: Supervisor, spec: ProcessorSpec) -> None:
    await supervisor.create(spec)
    await supervisor.start(spec.key)
    await reaches(supervisor, spec, "RUNNING")


# --- creating, listing, deleting ---------------------------------------------------------


async def test_a_new_processor_is_stopped_and_survives_a_crash(
    opened: Open, spec: ProcessorSpec, clock: FakeClock
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    await crash(supervisor)
    view = (await opened()).describe(spec.key)
    assert (view.spec, view.state, view.message) == (spec, "STOPPED", "")
    assert view.created_at == view.updated_at == clock.now()


async def test_a_name_is_taken_once_per_region(opened: Open, spec: ProcessorSpec) -> None:
    supervisor = await opened()
    both = await asyncio.gather(
        supervisor.create(spec), supervisor.create(spec), return_exceptions=True
    )
    assert [type(answer) for answer in both] == [type(None), ProcessorExists]
    await supervisor.create(replace(spec, region="us-east-1"))


async def test_the_limit_counts_per_region(opened: Open, spec: ProcessorSpec) -> None:
    supervisor = await opened(processors_max=1)
    await supervisor.create(spec)
    with pytest.raises(ProcessorLimit):
        await supervisor.create(replace(spec, name="other"))
    await supervisor.create(replace(spec, region="us-east-1"))


async def test_listing_pages_by_name_within_a_region(opened: Open, spec: ProcessorSpec) -> None:
    supervisor = await opened()
    for name in ("c", "a", "b", "B"):
        await supervisor.create(replace(spec, name=name))
    await supervisor.create(replace(spec, region="us-east-1", name="elsewhere"))

    def names(after: str | None, limit: int) -> list[str]:
        return [view.spec.name for view in supervisor.list("eu-west-1", after, limit)]

    assert names(None, 3) == ["B", "a", "b"]
    assert names("b", 3) == ["c"]
    assert names("c", 3) == []


async def test_deleting_frees_the_name_for_something_new(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    with pytest.raises(IllegalTransition, match="it is RUNNING"):
        await supervisor.delete(spec.key)
    await supervisor.stop(spec.key)
    await reaches(supervisor, spec, "STOPPED")
    await supervisor.delete(spec.key)
    with pytest.raises(UnknownProcessor, match="door"):
        supervisor.describe(spec.key)
    changed = replace(spec, collection_id="guests")
    await supervisor.create(changed)
    await crash(supervisor)
    assert (await opened()).describe(spec.key).spec == changed


async def test_what_is_unknown_is_refused_by_name(opened: Open, spec: ProcessorSpec) -> None:
    supervisor = await opened()
    for call in (supervisor.start, supervisor.stop, supervisor.delete):
        with pytest.raises(UnknownProcessor, match="no stream processor door in eu-west-1"):
            await call(spec.key)


# --- starting ----------------------------------------------------------------------------


async def test_start_returns_at_once_and_running_follows(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.gate.clear()
    await clock.advance(5)
    await supervisor.start(spec.key)
    view = supervisor.describe(spec.key)
    assert (view.state, view.updated_at, view.created_at) == (
        "STARTING",
        clock.now(),
        clock.now() - 5,
    )
    world.gate.set()
    await reaches(supervisor, spec, "RUNNING")
    assert world.open == 3
    await until(lambda: world.stream.positions == [StartAt.NOW])


async def test_what_a_processor_logs_is_about_it_and_no_part_of_the_request_that_began_it(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, str]] = []

    async def ready(_: object) -> None:
        told.append(dict(log_context()))

    monkeypatch.setattr(world, "ready", ready)
    supervisor = await opened()
    await supervisor.create(spec)
    with about(request_id="r-1"):
        await supervisor.start(spec.key)
    await reaches(supervisor, spec, "RUNNING")
    assert told == [{"region": spec.region, "processor": spec.name}]


async def test_what_is_said_of_its_failure_is_about_it_too(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    told: dict[str, dict[str, str]] = {}

    def heard(record: logging.LogRecord) -> bool:
        told[record.getMessage()] = dict(log_context())
        return True

    caplog.set_level(logging.INFO, "streamproc")
    caplog.handler.addFilter(heard)
    supervisor = await opened()
    await supervisor.create(spec)
    world.fail("source", PermanentFailure("Access denied to Role"))
    with about(request_id="r-1"):
        await supervisor.start(spec.key)
    await reaches(supervisor, spec, "FAILED")
    about_it = {"region": spec.region, "processor": spec.name}
    for words in ("processor door: Access denied to Role", "processor door is FAILED"):
        assert told[words] == about_it


async def test_of_two_callers_one_wins(opened: Open, spec: ProcessorSpec) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    for call, state in ((supervisor.start, "RUNNING"), (supervisor.stop, "STOPPED")):
        answers = await asyncio.gather(*(call(spec.key) for _ in range(5)), return_exceptions=True)
        assert answers.count(None) == 1
        assert sum(isinstance(answer, IllegalTransition) for answer in answers) == 4
        await reaches(supervisor, spec, state)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("source", "Access denied to Role"),
        ("source", "Access denied to Kinesis Video"),
        ("source", "Stream door doesn't exist"),
        ("sink", "Stream faces under account 000000000000 not found"),
        ("sink", "Access denied to Kinesis Data"),
        ("faces", "Collection not found"),
    ],
)
async def test_what_is_missing_shows_as_failed_and_start_tries_again(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, part: Part, message: str
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.fail(part, PermanentFailure(message))
    await supervisor.start(spec.key)
    assert await reaches(supervisor, spec, "FAILED") == message
    assert world.open == 0
    with pytest.raises(IllegalTransition, match="it is FAILED"):
        await supervisor.stop(spec.key)
    await supervisor.start(spec.key)
    assert await reaches(supervisor, spec, "RUNNING") == ""


async def test_a_bug_fails_one_processor_in_plain_words(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = await opened()
    other = replace(spec, name="window")
    await running(supervisor, other)
    await supervisor.create(spec)
    world.fail("faces", ZeroDivisionError("division by zero"))
    await supervisor.start(spec.key)
    message = await reaches(supervisor, spec, "FAILED")
    assert message.startswith("Internal error, ZeroDivisionError: division by zero.")
    assert any(record.exc_info for record in caplog.records if "door" in record.getMessage())
    assert supervisor.describe(other.key).state == "RUNNING"


async def test_a_failure_that_explains_itself_leaves_no_traceback(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    supervisor = await opened()
    await running(supervisor, spec)
    await until(lambda: len(world.stream.positions) == 1)
    await world.stream.append(PermanentFailure("Stream door doesn't exist"))
    assert await reaches(supervisor, spec, "FAILED") == "Stream door doesn't exist"
    assert "Stream door doesn't exist" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("error", [TransientFailure("no route to host"), OSError("no route")])
async def test_trouble_that_may_heal_is_told_and_tried_again(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock, error: Exception
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.fail("sink", error, error)
    await supervisor.start(spec.key)
    await until(lambda: "no route" in supervisor.describe(spec.key).message)
    assert supervisor.describe(spec.key).state == "STARTING"
    assert world.open == 0
    await clock.advance(0.5)
    assert supervisor.describe(spec.key).state == "STARTING"
    await clock.advance(1.0)
    assert await reaches(supervisor, spec, "RUNNING") == ""


async def test_a_start_is_never_stuck(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened(start_timeout_s=60.0)
    await supervisor.create(spec)
    world.fail("source", *[TransientFailure("no route to host")] * 100)
    await supervisor.start(spec.key)
    await until(lambda: supervisor.describe(spec.key).message != "")
    await clock.advance(59)
    assert supervisor.describe(spec.key).state == "STARTING"
    await clock.advance(1.1)
    message = await reaches(supervisor, spec, "FAILED")
    assert message == "Not started within 60 s: no route to host"


async def test_a_world_that_is_not_ready_costs_no_start_its_time(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened(start_timeout_s=60.0)
    await supervisor.create(spec)
    world.prepared.clear()
    await supervisor.start(spec.key)
    await until(lambda: supervisor.describe(spec.key).message == "Not ready.")
    await clock.advance(600)
    assert supervisor.describe(spec.key).state == "STARTING"
    world.prepared.set()
    assert await reaches(supervisor, spec, "RUNNING") == ""


async def test_a_start_is_stopped_at_once_while_the_world_is_not_ready(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.prepared.clear()
    await supervisor.start(spec.key)
    await supervisor.stop(spec.key)
    assert await reaches(supervisor, spec, "STOPPED") == ""


async def test_an_endpoint_that_never_answers_does_not_hang_a_start(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened(start_timeout_s=60.0)
    await supervisor.create(spec)
    world.gate.clear()
    await supervisor.start(spec.key)
    await clock.advance(60.1)
    message = await reaches(supervisor, spec, "FAILED")
    assert message == "Not started within 60 s: the streams did not answer"


async def test_a_caller_that_hangs_up_leaves_no_half_start(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    call = asyncio.create_task(supervisor.start(spec.key))
    await asyncio.sleep(0)
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    await reaches(supervisor, spec, "RUNNING")


async def test_the_log_tells_each_change_in_order(
    opened: Open, spec: ProcessorSpec, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamproc.processor.supervisor")
    supervisor = await opened()
    await running(supervisor, spec)
    await supervisor.stop(spec.key)
    await reaches(supervisor, spec, "STOPPED")
    await supervisor.delete(spec.key)
    states = ["STOPPED", "STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETED"]
    assert caplog.messages == [f"processor door is {state}" for state in states]


# --- running -----------------------------------------------------------------------------


async def test_trouble_while_running_is_a_message_and_no_state(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    world.reports["source"]("Kinesis Video does not answer; trying again.")
    world.reports["sink"]("Records are throttled.")
    view = supervisor.describe(spec.key)
    assert view.state == "RUNNING"
    assert view.message == "Kinesis Video does not answer; trying again. Records are throttled."
    world.reports["source"]("")
    assert supervisor.describe(spec.key).message == "Records are throttled."
    await supervisor.stop(spec.key)
    assert await reaches(supervisor, spec, "STOPPED") == ""


async def test_figures_are_a_snapshot_of_the_run(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    await until(lambda: len(world.stream.positions) == 1)
    before = supervisor.describe(spec.key).counters
    await world.stream.append(*camera(1)[0])
    await until(lambda: supervisor.describe(spec.key).counters.records_delivered_total == 5)
    assert before.records_total == 0
    await supervisor.stop(spec.key)
    await reaches(supervisor, spec, "STOPPED")
    await supervisor.start(spec.key)
    assert supervisor.describe(spec.key).counters.records_total == 0


# --- stopping ----------------------------------------------------------------------------


async def test_stop_while_starting_ends_at_once(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.gate.clear()
    await supervisor.start(spec.key)
    await supervisor.stop(spec.key)
    assert await reaches(supervisor, spec, "STOPPED") == ""
    assert world.open == 0
    world.gate.set()
    await supervisor.start(spec.key)
    await reaches(supervisor, spec, "RUNNING")


async def test_stop_while_trying_again_ends_at_once(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.fail("source", TransientFailure("no route to host"))
    await supervisor.start(spec.key)
    await until(lambda: supervisor.describe(spec.key).message != "")
    await supervisor.stop(spec.key)
    assert await reaches(supervisor, spec, "STOPPED") == ""


async def test_stop_right_behind_start_is_safe(opened: Open, spec: ProcessorSpec) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    for _ in range(10):
        await supervisor.start(spec.key)
        await supervisor.stop(spec.key)
        await reaches(supervisor, spec, "STOPPED")


async def test_stop_tells_what_the_data_stream_did_not_take(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera, clock: FakeClock
) -> None:
    supervisor = await opened(stop_timeout_s=10.0)
    await running(supervisor, spec)
    world.data.hold()
    await until(lambda: len(world.stream.positions) == 1)
    await world.stream.append(*camera(1)[0])
    await until(lambda: len(world.data.entries) == 5)
    await supervisor.stop(spec.key)
    await clock.advance(9.9)
    assert supervisor.describe(spec.key).state == "STOPPING"
    await clock.advance(0.2)
    message = await reaches(supervisor, spec, "STOPPED")
    assert message.startswith("Stopped with 5 records not delivered")
    assert world.open == 0


async def test_what_does_not_close_cannot_hold_a_processor_in_stopping(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened(stop_timeout_s=10.0)
    await running(supervisor, spec)
    world.closing.clear()
    await supervisor.stop(spec.key)
    await clock.advance(19.9)
    assert supervisor.describe(spec.key).state == "STOPPING"
    await clock.advance(0.2)
    await reaches(supervisor, spec, "STOPPED")
    world.closing.set()


# --- ends of the daemon ------------------------------------------------------------------


async def test_killed_while_running_it_resumes_and_no_record_is_missing(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera, clock: FakeClock
) -> None:
    footage = camera(6)
    supervisor = await opened()
    await running(supervisor, spec)
    await until(lambda: len(world.stream.positions) == 1)
    for fragment in footage[:3]:
        await world.stream.append(*fragment)
    await until(lambda: len(world.data.entries) == 15)
    await clock.advance(1)
    await until(lambda: not supervisor._unfinished)
    await crash(supervisor)
    for fragment in footage[3:]:
        await world.stream.append(*fragment)  # nobody watches meanwhile

    supervisor = await opened()
    assert supervisor.describe(spec.key).state == "STOPPED"
    await supervisor.resume_all()
    await reaches(supervisor, spec, "RUNNING")
    every = [(str(n), ms / 1000) for n in range(1, 7) for ms in range(0, 1000, 200)]
    await until(lambda: seen(world)[-1] == every[-1])
    resumed = world.stream.positions[1]
    assert isinstance(resumed, AfterFragment)
    behind = [frame for frame in every if frame[0] > resumed.number]
    assert seen(world) == every[:15] + behind


class PatientOnlookers(Unwatched):
    """Nobody goes on before all have heard."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._all = asyncio.Event()

    async def state_changed(self, spec: ProcessorSpec, state: str, *_: Any) -> None:
        if state == "STARTING":
            self._missing -= 1
            if not self._missing:
                self._all.set()
            await self._all.wait()


async def test_processors_do_not_wait_for_each_others_watcher_when_they_resume(
    tmp_path: Path, opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    specs = [replace(spec, name=f"{spec.name}-{number}") for number in range(3)]
    supervisor = await opened()
    for one in specs:
        await running(supervisor, one)
    await crash(supervisor)
    supervisor = await Supervisor.open(
        tmp_path / "processors.db", world, ProcessorsConfig(), SinkConfig(), clock,
        roll=lambda: 1.0, watcher=PatientOnlookers(3),
    )  # fmt: skip
    async with asyncio.timeout(60):
        await supervisor.resume_all()
    await crash(supervisor)


async def test_a_processor_is_busy_while_a_frame_is_in_its_hands(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera
) -> None:
    supervisor = await opened()
    assert not supervisor.is_busy(spec.key)
    await running(supervisor, spec)
    assert not supervisor.is_busy(spec.key)
    world.analysed.clear()
    for fragment in camera(1):
        await world.stream.append(*fragment)
    await until(lambda: supervisor.is_busy(spec.key))
    world.analysed.set()
    await until(lambda: len(world.data.entries) == 5)
    await until(lambda: not supervisor.is_busy(spec.key))


async def test_killed_before_any_checkpoint_it_resumes_from_its_start(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    started = clock.now()
    await crash(supervisor)
    await clock.advance(100)
    for _ in range(2):  # crashing again before anything happened changes nothing
        supervisor = await opened()
        await supervisor.resume_all()
        await reaches(supervisor, spec, "RUNNING")
        await until(lambda: world.stream.positions[-1] == FromServerTime(started))
        await crash(supervisor)


async def test_started_at_earliest_it_resumes_at_earliest(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened(start_at="earliest")
    await running(supervisor, spec)
    await crash(supervisor)
    supervisor = await opened(start_at="now")
    await supervisor.resume_all()
    await until(lambda: world.stream.positions == [StartAt.EARLIEST] * 2)


async def test_killed_while_starting_it_resumes(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.gate.clear()
    await supervisor.start(spec.key)
    await crash(supervisor)
    world.gate.set()
    supervisor = await opened()
    await supervisor.resume_all()
    await reaches(supervisor, spec, "RUNNING")


async def test_killed_while_stopping_it_is_stopped_and_stays_so(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    world.data.hold()
    await until(lambda: len(world.stream.positions) == 1)
    await world.stream.append(*camera(1)[0])
    await until(lambda: len(world.data.entries) == 5)
    await supervisor.stop(spec.key)
    assert supervisor.describe(spec.key).state == "STOPPING"
    await crash(supervisor)
    supervisor = await opened()
    await supervisor.resume_all()
    assert supervisor.describe(spec.key).state == "STOPPED"
    await supervisor.start(spec.key)


async def test_failed_stays_failed_over_a_restart(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    world.fail("faces", PermanentFailure("Collection not found"))
    await supervisor.start(spec.key)
    await reaches(supervisor, spec, "FAILED")
    await crash(supervisor)
    supervisor = await opened()
    await supervisor.resume_all()
    view = supervisor.describe(spec.key)
    assert (view.state, view.message) == ("FAILED", "Collection not found")


async def test_an_orderly_end_drains_and_the_next_daemon_goes_on(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    world.data.hold()
    await until(lambda: len(world.stream.positions) == 1)
    for fragment in camera(2):
        await world.stream.append(*fragment)
    await until(lambda: len(world.data.entries) == 10)
    closing = asyncio.create_task(supervisor.aclose())
    await asyncio.sleep(0.02)
    assert not closing.done()
    world.data.release()
    await closing
    assert world.open == 0
    supervisor = await opened()
    await supervisor.resume_all()
    await reaches(supervisor, spec, "RUNNING")
    await until(lambda: world.stream.positions == [StartAt.NOW, AfterFragment("1")])


async def test_what_is_asked_for_during_the_end_is_on_disk_before_the_end(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    store, arrived, disk = supervisor._store, asyncio.Event(), asyncio.Event()
    insert = store.insert

    async def slow_insert(row: Row) -> None:
        arrived.set()
        await disk.wait()
        await insert(row)

    monkeypatch.setattr(store, "insert", slow_insert)
    await supervisor.drain()
    assert world.open == 0
    call = asyncio.create_task(supervisor.create(replace(spec, name="window")))
    await arrived.wait()
    call.cancel()  # the API ends meanwhile
    closing = asyncio.create_task(supervisor.aclose())
    await asyncio.wait([closing], timeout=0.1)
    assert not closing.done()
    disk.set()
    await closing
    supervisor = await opened()
    assert supervisor.describe(("eu-west-1", "window")).state == "STOPPED"


async def test_a_resumed_processor_waits_for_its_streams_as_long_as_it_takes(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    await crash(supervisor)
    world.fail("source", *[TransientFailure("no route to host")] * 200)
    supervisor = await opened(start_timeout_s=60.0)
    await supervisor.resume_all()
    await until(lambda: supervisor.describe(spec.key).message != "")
    await clock.advance(300)
    view = supervisor.describe(spec.key)
    assert (view.state, view.message) == (
        "STARTING",
        "Not running yet, trying again: no route to host",
    )
    await supervisor.stop(spec.key)
    await reaches(supervisor, spec, "STOPPED")


async def test_a_resumed_processor_waits_for_streams_that_are_gone_and_may_come_back(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    await crash(supervisor)
    gone = OutOfReach("Stream faces under account 000000000000 not found")
    world.fail("sink", *[gone] * 20)
    supervisor = await opened(start_timeout_s=60.0)
    await supervisor.resume_all()
    await until(lambda: supervisor.describe(spec.key).message != "")
    assert supervisor.describe(spec.key).message == f"Not running yet, trying again: {gone}"
    for _ in range(200):
        await clock.advance(1)
    await reaches(supervisor, spec, "RUNNING")


async def test_a_clock_that_was_set_back_does_not_make_a_resume_wait(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, clock: FakeClock
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    await crash(supervisor)
    clock._start -= 3600.0
    supervisor = await opened()
    await supervisor.resume_all()
    await until(lambda: world.stream.positions[-1:] == [FromServerTime(clock.now())])


async def test_start_after_stop_begins_at_live(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld, camera: Camera, clock: FakeClock
) -> None:
    supervisor = await opened()
    await running(supervisor, spec)
    await until(lambda: len(world.stream.positions) == 1)
    for fragment in camera(3):
        await world.stream.append(*fragment)
    await until(lambda: len(world.data.entries) == 15)
    await supervisor.stop(spec.key)
    await reaches(supervisor, spec, "STOPPED")
    await clock.advance(50)
    await supervisor.start(spec.key)
    await reaches(supervisor, spec, "RUNNING")
    await until(lambda: world.stream.positions == [StartAt.NOW, StartAt.NOW])
    await crash(supervisor)
    supervisor = await opened()
    await supervisor.resume_all()
    await until(lambda: world.stream.positions[2:] == [FromServerTime(clock.now())])


async def test_a_start_during_the_end_is_left_to_the_next_daemon(
    opened: Open, spec: ProcessorSpec, world: ScriptedWorld
) -> None:
    supervisor = await opened()
    await supervisor.create(spec)
    supervisor._closing.set()
    await supervisor.start(spec.key)
    await supervisor.aclose()
    assert world.open == 0
    supervisor = await opened()
    await supervisor.resume_all()
    await reaches(supervisor, spec, "RUNNING")
