"""Every topic hears of every job once, however often it refuses and however the daemon ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.clock import FakeClock
from streamproc.jobs.fake import ScriptedJobWorld
from streamproc.jobs.notices import NoticeSender
from streamproc.jobs.schema import OpenJob
from streamproc.jobs.store import JobStore
from streamproc.model.job import JobSpec
from tests.jobs.conftest import until

KEPT_S = 7 * 86_400.0


async def passes(clock: FakeClock, condition: Callable[[], bool], step_s: float = 60.0) -> None:
    """Let time pass until it is so."""
    async with asyncio.timeout(60):
        while not condition():
            await clock.advance(step_s)
            await asyncio.sleep(0.002)


@pytest.fixture
def world() -> ScriptedJobWorld:
    return ScriptedJobWorld()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[JobStore]:
    store = await JobStore.open(tmp_path / "jobs.db", clock, KEPT_S)
    yield store
    await store.aclose()


@asynccontextmanager
async def sending(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock
) -> AsyncIterator[NoticeSender]:
    sender = NoticeSender(store.outbox, world.publish, clock, roll=lambda: 1.0)
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ended(store: JobStore, spec: JobSpec, number: int) -> str:
    job = await store.insert(f"{number:064x}", spec, None, 1000)
    assert isinstance(job, OpenJob)
    await store.fail(job, "no video")
    return job.id


async def test_what_waits_is_told_in_order_and_then_forgotten(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    ids = [await ended(store, job_spec, number) for number in range(3)]
    async with sending(store, world, clock) as sender:
        await until(lambda: len(world.published) == 3)
        ids.append(await ended(store, job_spec, 3))
        sender.wake()
        await until(lambda: len(world.published) == 4)
    assert world.told(job_spec.topic_arn) == ids
    notice = world.published[0]
    assert (notice.region, notice.role_arn) == (job_spec.region, job_spec.role_arn)
    async with sending(store, world, clock):  # a restart has nothing to say again
        await clock.advance(3600)
    assert len(world.published) == 4


async def test_a_refusal_is_tried_again_and_logged_once_for_each_reason(
    store: JobStore,
    world: ScriptedJobWorld,
    clock: FakeClock,
    job_spec: JobSpec,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    world.refuse(job_spec.topic_arn, *["no such topic"] * 4, *["throttled"] * 2)
    job_id = await ended(store, job_spec, 1)
    async with sending(store, world, clock):
        await passes(clock, lambda: bool(world.published))
    assert world.told(job_spec.topic_arn) == [job_id]
    assert [record.getMessage() for record in caplog.records] == [
        f"topic {job_spec.topic_arn}, trying again: no such topic",
        f"topic {job_spec.topic_arn}, trying again: throttled",
    ]


class ImpatientClock(FakeClock):
    """Notes how long somebody wanted to sleep, and wakes them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)


async def test_the_pause_grows_to_a_minute(
    store: JobStore, world: ScriptedJobWorld, job_spec: JobSpec
) -> None:
    clock = ImpatientClock()
    world.refuse(job_spec.topic_arn, *["no network"] * 8)
    await ended(store, job_spec, 1)
    async with sending(store, world, clock):
        await until(lambda: bool(world.published))
    assert clock.slept_s == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_topic_that_refuses_holds_up_nobody_else(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    gone = replace(job_spec, topic_arn="arn:aws:sns:eu-west-1:000000000000:gone")
    world.refuse(gone.topic_arn, *["no such topic"] * 1000)
    for number in range(20):
        await ended(store, gone, number)
    job_id = await ended(store, job_spec, 20)
    async with sending(store, world, clock):
        await until(lambda: world.told(job_spec.topic_arn) == [job_id])
        await until(lambda: gone.topic_arn in world.asked)
    assert world.told(gone.topic_arn) == []


async def test_a_topic_that_does_not_answer_holds_up_its_own_notices_only(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    slow = replace(job_spec, topic_arn="arn:aws:sns:eu-west-1:000000000000:slow")
    world.silence(slow.topic_arn)
    ids = [await ended(store, slow, number) for number in range(20)]
    async with sending(store, world, clock) as sender:
        await until(lambda: world.asked == [slow.topic_arn])
        job_id = await ended(store, job_spec, 20)
        sender.wake()
        await until(lambda: world.told(job_spec.topic_arn) == [job_id])
        world.answer(slow.topic_arn)
        await until(lambda: world.told(slow.topic_arn) == ids)


async def test_only_so_many_topics_are_spoken_to_at_once(
    store: JobStore,
    world: ScriptedJobWorld,
    clock: FakeClock,
    job_spec: JobSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaking = most = told = 0
    silent = asyncio.Event()

    async def publish(_: object) -> None:
        nonlocal speaking, most, told
        speaking += 1
        most = max(most, speaking)
        await silent.wait()
        speaking -= 1
        told += 1

    monkeypatch.setattr(world, "publish", publish)
    for number in range(20):
        await ended(store, replace(job_spec, topic_arn=f"{job_spec.topic_arn}{number}"), number)
    async with sending(store, world, clock):
        await until(lambda: speaking == 16)
        silent.set()
        await until(lambda: told == 20)
    assert most == 16


async def test_a_restart_goes_on_with_what_was_refused(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    world.refuse(job_spec.topic_arn, "no such topic")
    job_id = await ended(store, job_spec, 1)
    async with sending(store, world, clock):
        await until(lambda: not world._refusals[job_spec.topic_arn])
    assert world.published == []
    async with sending(store, world, clock):
        await until(lambda: world.told(job_spec.topic_arn) == [job_id])


async def test_a_stop_hears_the_topic_out_so_that_nothing_is_told_twice(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    world.silence(job_spec.topic_arn)
    await ended(store, job_spec, 1)
    async with sending(store, world, clock):
        await until(lambda: bool(world.asked))
        asyncio.get_running_loop().call_later(0.05, world.answer, job_spec.topic_arn)
    async with sending(store, world, clock):
        await clock.advance(3600)
    assert len(world.published) == 1


async def test_a_stop_begins_to_tell_nobody_else(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    topics = [f"{job_spec.topic_arn}{number}" for number in range(17)]
    for number, topic in enumerate(topics):
        world.silence(topic)
        await ended(store, replace(job_spec, topic_arn=topic), number)

    def answer_all() -> None:
        for topic in topics:
            world.answer(topic)

    async with sending(store, world, clock):
        await until(lambda: len(world.asked) == 16)
        asyncio.get_running_loop().call_later(0.05, answer_all)
    assert len(world.asked) == len(world.published) == 16


async def test_what_a_full_disk_does_not_note_is_not_told_again(
    store: JobStore,
    world: ScriptedJobWorld,
    clock: FakeClock,
    job_spec: JobSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted, refused = store.outbox.accepted, 0

    async def full(key: int) -> None:
        nonlocal refused
        refused += 1
        if refused < 4:
            raise OSError("database or disk is full")
        await accepted(key)

    monkeypatch.setattr(store.outbox, "accepted", full)
    await ended(store, job_spec, 1)
    async with sending(store, world, clock):
        await passes(clock, lambda: refused == 4)
    assert len(world.published) == 1


async def test_a_notice_is_given_up_with_its_job(
    store: JobStore, world: ScriptedJobWorld, clock: FakeClock, job_spec: JobSpec
) -> None:
    world.refuse(job_spec.topic_arn, *["no such topic"] * 1000)
    await ended(store, job_spec, 1)
    async with sending(store, world, clock) as sender:
        await until(lambda: len(world._refusals[job_spec.topic_arn]) == 999)
        await clock.advance(KEPT_S + 3600)
        assert await store.expire() == 1
        world._refusals.clear()
        await passes(clock, lambda: not sender._lanes)
    assert world.published == []
