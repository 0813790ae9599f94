"""What a user of jobs may rely on, whatever fails and however the daemon ends."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import AsyncMock

import pytest
from sqlalchemy.exc import OperationalError

from streamproc.clock import FakeClock
from streamproc.errors import (
    EngineError,
    MediaError,
    StoreUnavailable,
    TokenMismatch,
    TooManyJobs,
    TransientFailure,
    UnknownJob,
)
from streamproc.jobs.fake import ScriptedJobWorld
from streamproc.jobs.ports import Outcome
from streamproc.jobs.runner import JobRunner, RunningJob
from streamproc.model.job import (
    Aggregation,
    Group,
    Item,
    JobKind,
    JobSpec,
    JobStatus,
    JobView,
)
from streamproc.model.video import ObjectRef
from streamproc.settings import JobsConfig
from tests.jobs.conftest import until

REGION = "eu-west-1"
DAY_S = 86_400.0

Open: TypeAlias = Callable[..., Awaitable[JobRunner]]


async def reaches(runner: JobRunner, job_id: str, status: str) -> JobView:
    async with asyncio.timeout(60):
        while (view := await runner.get(REGION, job_id)).status != status:
            assert view.status == "IN_PROGRESS", f"{view.status}: {view.message}"
            await asyncio.sleep(0.005)
    return view


async def found(runner: JobRunner, job_id: str, **order: Any) -> list[dict[str, Any]]:
    options: dict[str, Any] = {"by_key": False, "offset": 0, "limit": 10_000, **order}
    return await runner.page(job_id, Aggregation.TIMESTAMPS, **options)


async def crash(runner: JobRunner) -> None:
    """What is left of a runner after kill -9: what was on disk at that moment."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner._store, "rest", AsyncMock())
        await runner.aclose()


@pytest.fixture
def world(clip: Path) -> ScriptedJobWorld:
    return ScriptedJobWorld({"clip.mp4": clip})


@pytest.fixture
async def opened(
    tmp_path: Path, world: ScriptedJobWorld, clock: FakeClock
) -> AsyncIterator[Callable[..., Awaitable[JobRunner]]]:
    """Open a runner on the same disk; those still open at the end are closed."""
    alive: list[JobRunner] = []

    async def open_runner(*, resume: bool = True, **settings: Any) -> JobRunner:
        runner = await JobRunner.open(
            tmp_path / "jobs.db", world, JobsConfig(**settings), tmp_path / "scratch", clock,
            roll=lambda: 1.0,
        )  # fmt: skip
        alive.append(runner)
        if resume:
            await runner.resume()
        return runner

    yield open_runner
    for runner in alive:
        await runner.aclose()


# --- from start to end -------------------------------------------------------------------


async def test_a_job_runs_to_its_end_and_its_topic_hears_of_it(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, clock: FakeClock
) -> None:
    runner = await opened()
    job_id = await runner.start(job_spec)
    assert len(job_id) == 64
    assert set(job_id) <= set("0123456789abcdef")
    view = await reaches(runner, job_id, "SUCCEEDED")
    assert (view.progress, view.finished_at, view.message) == (1.0, clock.now(), "")
    assert len(await found(runner, job_id)) == 30
    await until(lambda: bool(world.published))
    message = json.loads(world.published[0].message)
    assert (message["JobId"], message["Status"]) == (job_id, "SUCCEEDED")
    assert message["Timestamp"] == round(clock.now() * 1000)


async def test_progress_shows_while_it_runs_and_nothing_else_does(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    world.hold(from_ms=2000)
    runner = await opened()
    job_id = await runner.start(job_spec)
    await until(lambda: world.looking == 4)  # as many as there may be
    view = await runner.get(REGION, job_id, JobKind.FACE_DETECTION)
    assert view.status == "IN_PROGRESS"
    assert 0.5 < view.progress < 0.9
    assert view.metadata is not None
    assert (view.metadata.frame_width, view.model_version) == (64, "7.0")
    assert await found(runner, job_id) == []
    assert await runner.list_jobs(REGION, None, 10) == [view]
    figures = await runner.figures()
    assert figures.by_status == {"IN_PROGRESS": 1, "SUCCEEDED": 0, "FAILED": 0}
    assert figures.running == [RunningJob(job_id, JobKind.FACE_DETECTION, view.progress)]
    world.release()
    await reaches(runner, job_id, "SUCCEEDED")
    await until(lambda: not runner._tasks)
    figures = await runner.figures()
    assert (figures.by_status[JobStatus.SUCCEEDED], figures.running) == (1, [])


async def test_jobs_run_in_the_order_in_which_they_came_a_few_at_once(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    world.hold()
    runner = await opened(running_max=2)
    ids = [await runner.start(job_spec) for _ in range(5)]
    await until(lambda: world.looking == 8)  # four frames of two jobs
    assert sorted(world.started) == sorted(ids[:2])
    assert {(await runner.get(REGION, job_id)).status for job_id in ids} == {"IN_PROGRESS"}
    world.release()
    for job_id in ids:
        await reaches(runner, job_id, "SUCCEEDED")
    assert world.open_most == 2
    assert sorted(world.started) == sorted(ids)
    assert sorted(world.started[2:4]) == sorted(ids[2:4])


async def test_no_more_jobs_are_open_than_allowed(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    world.hold()
    runner = await opened(running_max=1, open_max=2)
    first = await runner.start(job_spec)
    await runner.start(job_spec)
    with pytest.raises(TooManyJobs, match=r"jobs\.open_max"):
        await runner.start(job_spec)
    await runner.start(replace(job_spec, region="us-east-1"))
    world.release()
    await reaches(runner, first, "SUCCEEDED")
    await runner.start(job_spec)


async def test_a_job_of_another_kind_or_region_is_unknown(opened: Open, job_spec: JobSpec) -> None:
    runner = await opened()
    job_id = await runner.start(job_spec)
    with pytest.raises(UnknownJob, match="no FaceSearch job"):
        await runner.get(REGION, job_id, JobKind.FACE_SEARCH)
    with pytest.raises(UnknownJob, match="us-east-1"):
        await runner.get("us-east-1", job_id)


async def test_groups_are_judged_at_the_end(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    def find(timestamp_ms: int, brightness: int) -> list[Item]:
        number = timestamp_ms // 100
        return [Item(timestamp_ms, {"Person": {"Light": brightness}}, group=number % 3)]

    world.find = find
    world.outcome = Outcome(
        groups=[
            Group(0, {"Person": {"Index": 1}}, sort_key="00000001"),
            Group(1, {"Person": {"Index": 0}}, sort_key="00000000"),
            Group(2, None),
        ]
    )
    runner = await opened()
    job_id = await runner.start(job_spec)
    await reaches(runner, job_id, "SUCCEEDED")
    by_index = await found(runner, job_id, by_key=True)
    assert [item["Person"]["Index"] for item in by_index] == [0] * 10 + [1] * 10
    assert [item["Timestamp"] for item in by_index[:3]] == [100, 400, 700]
    assert by_index[0]["Person"]["Light"] > 0


# --- tokens ------------------------------------------------------------------------------


async def test_a_repeated_start_is_one_job_and_one_notice(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, clock: FakeClock
) -> None:
    runner = await opened()
    ids = await asyncio.gather(*(runner.start(job_spec, "once") for _ in range(5)))
    assert len(set(ids)) == 1
    await reaches(runner, ids[0], "SUCCEEDED")
    assert await runner.start(job_spec, "once") == ids[0]
    assert await runner.find(job_spec, "once") == ids[0]
    await until(lambda: bool(world.published))
    await clock.advance(3600)
    assert world.started == [ids[0]]
    assert len(world.published) == 1
    with pytest.raises(TokenMismatch):
        await runner.start(replace(job_spec, job_tag="other"), "once")


async def test_a_caller_who_hangs_up_loses_no_job(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    runner = await opened()
    calling = asyncio.create_task(runner.start(job_spec, "once"))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    job_id = await runner.start(job_spec, "once")
    await reaches(runner, job_id, "SUCCEEDED")
    assert world.started == [job_id]


# --- failures ----------------------------------------------------------------------------


async def test_what_a_person_can_mend_is_said_in_its_own_words(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    runner = await opened()
    text = "the model x is not installed; run: streamproc models install x"
    world.fail("analysis", EngineError(text))
    job_id = await runner.start(job_spec)
    assert (await reaches(runner, job_id, "FAILED")).message == text
    assert (await runner.get(REGION, job_id)).progress == 0
    world.fail("look", MediaError("s3://clips/clip.mp4 is odd"))
    job_id = await runner.start(job_spec)
    assert (await reaches(runner, job_id, "FAILED")).message == "s3://clips/clip.mp4 is odd"
    await until(lambda: len(world.published) == 2)
    assert all('"Status":"FAILED"' in notice.message for notice in world.published)
    await reaches(runner, await runner.start(job_spec), "SUCCEEDED")


async def test_what_is_no_video_fails_and_names_it(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, tmp_path: Path
) -> None:
    world.videos["notes.txt"] = tmp_path / "notes.txt"
    world.videos["notes.txt"].write_text("no video " * 1000)
    runner = await opened()
    spec = replace(job_spec, video=ObjectRef("clips", "notes.txt"))
    view = await reaches(runner, await runner.start(spec), "FAILED")
    assert "s3://clips/notes.txt" in view.message


async def test_what_nobody_foresaw_is_logged_and_the_runner_lives_on(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    runner = await opened(running_max=1)
    world.fail("look", KeyError("eyes"))
    first, second = await runner.start(job_spec), await runner.start(job_spec)
    view = await reaches(runner, first, "FAILED")
    assert view.message.startswith("internal error, KeyError: 'eyes'")
    assert caplog.records[0].exc_info is not None
    await reaches(runner, second, "SUCCEEDED")
    assert await found(runner, first) == []


async def test_a_source_that_does_not_answer_is_patiently_asked(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, clock: FakeClock
) -> None:
    world.fail("video", *[TransientFailure("S3 does not answer")] * 3)
    runner = await opened()
    job_id = await runner.start(job_spec)
    async with asyncio.timeout(60):
        while (await runner.get(REGION, job_id)).status == "IN_PROGRESS":
            await clock.advance(1)
    await reaches(runner, job_id, "SUCCEEDED")


async def test_a_job_waits_while_the_disk_is_full_and_says_so(
    opened: Open,
    job_spec: JobSpec,
    world: ScriptedJobWorld,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = await opened(starts_max=2)
    store, attempts = runner._store, 0

    async def no_room(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise StoreUnavailable("jobs.db: database or disk is full; free space on its disk")

    with monkeypatch.context() as full:
        full.setattr(store.results, "add", no_room)
        job_id = await runner.start(job_spec)
        async with asyncio.timeout(60):
            while attempts < 4:
                await clock.advance(1)
        await until(lambda: job_id in runner._troubles)
        [view] = await runner.list_jobs(REGION, None, 10)
        assert (view.status, view.progress) == ("IN_PROGRESS", 0)
        assert "free space on its disk" in view.message
    async with asyncio.timeout(60):
        while (view := await runner.get(REGION, job_id)).status == "IN_PROGRESS":
            await clock.advance(1)
    assert (view.status, view.message) == ("SUCCEEDED", "")
    assert len(await found(runner, job_id)) == 30, "each once, whatever an attempt had written"


async def test_a_job_that_waits_for_the_disk_is_run_by_the_next_daemon(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    runner = await opened(starts_max=1)
    world.fail("look", StoreUnavailable("collections.db: disk is full"))
    job_id = await runner.start(job_spec)
    await until(lambda: job_id in runner._troubles)
    await runner.aclose()
    await reaches(await opened(starts_max=1), job_id, "SUCCEEDED")


async def test_a_failure_is_written_as_soon_as_it_can_be(
    opened: Open,
    job_spec: JobSpec,
    world: ScriptedJobWorld,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = await opened()
    fail, attempts = runner._store.fail, 0

    async def no_room_at_first(job: Any, message: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise StoreUnavailable("disk is full")
        await fail(job, message)

    monkeypatch.setattr(runner._store, "fail", no_room_at_first)
    world.fail("look", MediaError("s3://clips/clip.mp4 is odd"))
    job_id = await runner.start(job_spec)
    await until(lambda: attempts == 1)
    assert (await runner.get(REGION, job_id)).status == "IN_PROGRESS"
    async with asyncio.timeout(60):
        while attempts < 3:
            await clock.advance(1)
    assert (await reaches(runner, job_id, "FAILED")).message == "s3://clips/clip.mp4 is odd"


# --- the daemon ends ---------------------------------------------------------------------


async def undisturbed(runner: JobRunner, spec: JobSpec) -> list[dict[str, Any]]:
    job_id = await runner.start(spec)
    await reaches(runner, job_id, "SUCCEEDED")
    return await found(runner, job_id)


async def test_a_job_that_was_interrupted_runs_again_and_finds_the_same(
    opened: Open,
    job_spec: JobSpec,
    world: ScriptedJobWorld,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.jobs.run._ITEMS_PER_BATCH", 5)
    world.hold(from_ms=2000)
    runner = await opened()
    job_id = await runner.start(job_spec, "once")
    await world.held.wait()
    await crash(runner)
    world.release()
    runner = await opened()
    await reaches(runner, job_id, "SUCCEEDED")
    again = await found(runner, job_id)
    await until(lambda: bool(world.published))
    assert world.started == [job_id, job_id]
    assert again == await undisturbed(runner, replace(job_spec, topic_arn=""))
    await clock.advance(3600)
    assert world.told(job_spec.topic_arn) == [job_id]


async def test_waiting_jobs_keep_their_turn_over_a_restart(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    runner = await opened(resume=False)
    ids = [await runner.start(job_spec) for _ in range(3)]
    assert world.started == []  # it does not work yet
    await crash(runner)
    runner = await opened(running_max=1)
    for job_id in ids:
        await reaches(runner, job_id, "SUCCEEDED")
    assert world.started == ids


async def test_a_job_that_comes_while_work_begins_runs_once(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    runner = await opened(resume=False)
    *ids, _ = await asyncio.gather(
        runner.start(job_spec), runner.start(job_spec), runner.resume()
    )  # fmt: skip
    for job_id in ids:
        await reaches(runner, str(job_id), "SUCCEEDED")
    assert sorted(world.started) == sorted(str(job_id) for job_id in ids)


async def test_draining_leaves_jobs_to_the_next_daemon_and_counts_no_start(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    world.hold(from_ms=1000)
    ids: list[str] = []
    for _ in range(5):
        runner = await opened(running_max=1, starts_max=2)
        if not ids:
            ids = [await runner.start(job_spec), await runner.start(job_spec)]
        await world.held.wait()
        await runner.drain()
        assert (world.open, world.looking) == (0, 0)
        late = await runner.start(replace(job_spec, region="us-east-1"), "late")
        assert (await runner.get(REGION, ids[0])).status == "IN_PROGRESS"
        await runner.aclose()
        world.hold(from_ms=1000)
    assert set(world.started) == {ids[0]}
    world.release()
    runner = await opened()
    for job_id in ids:
        await reaches(runner, job_id, "SUCCEEDED")
    assert (await runner.get("us-east-1", late)).status in {"IN_PROGRESS", "SUCCEEDED"}


async def test_a_stop_while_a_failure_cannot_be_written_counts_no_start(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = await opened(starts_max=1)
    fail = AsyncMock(side_effect=OperationalError("UPDATE", {}, Exception("disk is full")))
    monkeypatch.setattr(runner._store, "fail", fail)
    world.fail("look", MediaError("odd"))
    job_id = await runner.start(job_spec)
    await until(lambda: fail.called)
    await runner.aclose()
    runner = await opened(starts_max=1)
    await reaches(runner, job_id, "SUCCEEDED")


async def test_a_video_that_ends_the_daemon_is_given_up(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    ids: list[str] = []
    for _ in range(3):
        world.hold()
        runner = await opened(starts_max=3)
        ids = ids or [await runner.start(job_spec)]
        await world.held.wait()
        await crash(runner)
    world.release()
    runner = await opened(starts_max=3)
    view = await reaches(runner, ids[0], "FAILED")
    assert "the daemon ended in it 3 times" in view.message
    assert world.started == ids * 3
    await until(lambda: world.told(job_spec.topic_arn) == ids)


async def test_a_job_beside_the_one_that_ends_the_daemon_is_not_given_up(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld
) -> None:
    deadly = innocent = ""
    for _ in range(3):
        world.hold()
        runner = await opened(starts_max=3, running_max=2)
        if not deadly:
            deadly, innocent = await runner.start(job_spec), await runner.start(job_spec)
        await world.held.wait()
        await until(lambda: world.looking in {4, 8})
        await crash(runner)
    # On its last start the first of the two ran alone.
    assert (world.started.count(deadly), world.started.count(innocent)) == (3, 2)
    world.release()
    runner = await opened(starts_max=3, running_max=2)
    await reaches(runner, deadly, "FAILED")
    await reaches(runner, innocent, "SUCCEEDED")


async def test_whenever_it_is_drained_the_next_daemon_finds_the_same(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.jobs.run._ITEMS_PER_BATCH", 3)
    runner = await opened(starts_max=1)
    expected = await undisturbed(runner, job_spec)
    job_id = await runner.start(job_spec)
    for pause_ms in range(0, 100, 11):
        await asyncio.sleep(pause_ms / 1000)  # wherever that may be
        await runner.aclose()
        runner = await opened(starts_max=1)  # one start that was not taken back would end it
    await reaches(runner, job_id, "SUCCEEDED")
    assert await found(runner, job_id) == expected


async def test_scratch_is_emptied_when_work_begins(opened: Open, tmp_path: Path) -> None:
    left = tmp_path / "scratch" / "deep" / "left-behind.mp4"
    left.parent.mkdir(parents=True)
    left.touch()
    await opened()
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_killed_in_the_middle_it_ends_the_same_with_one_notice(
    opened: Open,
    job_spec: JobSpec,
    world: ScriptedJobWorld,
    clock: FakeClock,
    clip: Path,
    tmp_path: Path,
) -> None:
    script = Path(__file__).with_name("killed_daemon.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path), str(clip), "1500", stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            job_id = (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()
    runner = await opened()
    await reaches(runner, job_id, "SUCCEEDED")
    assert not list((tmp_path / "scratch").iterdir())
    assert await found(runner, job_id) == await undisturbed(runner, job_spec)
    await until(lambda: world.told("arn:topic") == [job_id])
    spec = JobSpec(
        REGION, JobKind.FACE_DETECTION, ObjectRef("clips", "clip.mp4"), topic_arn="arn:topic"
    )
    assert await runner.start(spec, "once") == job_id


# --- expiry ------------------------------------------------------------------------------


async def test_results_and_tokens_end_together_and_running_jobs_never(
    opened: Open, job_spec: JobSpec, world: ScriptedJobWorld, clock: FakeClock
) -> None:
    runner = await opened(results_kept_days=7)
    old = await runner.start(job_spec, "once")
    await reaches(runner, old, "SUCCEEDED")
    world.hold()
    running = await runner.start(job_spec)
    await world.held.wait()
    await clock.advance(7 * DAY_S - 1)
    assert len(await found(runner, old)) == 30
    await clock.advance(1)
    with pytest.raises(UnknownJob):
        await runner.get(REGION, old)
    await clock.advance(3600)  # the sweep comes by
    async with asyncio.timeout(60):
        while await found(runner, old):
            await clock.advance(1)
    again = await runner.start(job_spec, "once")
    assert again != old
    world.release()
    await reaches(runner, running, "SUCCEEDED")
    await reaches(runner, again, "SUCCEEDED")
