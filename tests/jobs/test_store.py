"""What is written is there for the next daemon, and nothing is seen too early or too late."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamproc.clock import FakeClock
from streamproc.errors import StoreDamaged, TokenMismatch, TooManyJobs, UnknownJob
from streamproc.jobs.outbox import Destination
from streamproc.jobs.ports import Outcome
from streamproc.jobs.schema import OpenJob
from streamproc.jobs.store import JobStore
from streamproc.model.job import Aggregation, Group, Item, JobKind, JobSpec
from streamproc.model.video import ObjectRef, VideoMetadata

KEPT_S = 7 * 86_400.0
METADATA = VideoMetadata("h264", "QuickTime / MOV", 3000, 29.97, 1920, 1080, "LIMITED")


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[JobStore]:
    store = await JobStore.open(tmp_path / "jobs.db", clock, KEPT_S)
    yield store
    await store.aclose()


async def inserted(store: JobStore, spec: JobSpec, number: int = 1, **more: Any) -> OpenJob:
    job = await store.insert(f"{number:064x}", spec, more.get("token"), more.get("open_max", 20))
    assert isinstance(job, OpenJob)
    return job


async def succeeded(store: JobStore, spec: JobSpec, *found: Item, **more: Any) -> OpenJob:
    job = await inserted(store, spec, **more)
    await store.begin(job)
    await store.results.add(job.key, found, 0.5)
    await store.succeed(job, Outcome())
    return job


async def page(
    store: JobStore, job: OpenJob, *, by_key: bool = False, offset: int = 0, limit: int = 1000,
    aggregation: Aggregation = Aggregation.TIMESTAMPS,
) -> list[dict[str, Any]]:  # fmt: skip
    return await store.page(job.id, aggregation, by_key=by_key, offset=offset, limit=limit)


# --- jobs --------------------------------------------------------------------------------


async def test_a_job_comes_back_as_it_was(
    tmp_path: Path, store: JobStore, job_spec: JobSpec, clock: FakeClock
) -> None:
    spec = replace(
        job_spec,
        kind=JobKind.LABEL_DETECTION,
        video=ObjectRef("clips", "ü/clip.mp4", "v1"),
        parameters={"MinConfidence": 50.0, "Settings": {"GeneralLabels": {"Filters": ["Cat"]}}},
    )
    job = await inserted(store, spec)
    await store.begin(job)
    await store.save_model_version(job, "3.0")
    await store.save_metadata(job, METADATA)
    await store.aclose()
    store = await JobStore.open(tmp_path / "jobs.db", clock, KEPT_S)
    view = await store.get("eu-west-1", job.id)
    assert (view.spec, view.status, view.message, view.progress) == (spec, "IN_PROGRESS", "", 0)
    assert (view.metadata, view.model_version) == (METADATA, "3.0")
    assert (view.created_at, view.finished_at) == (clock.now(), None)
    assert await store.open_jobs() == [replace(job, starts=1)]
    await store.aclose()


async def test_a_job_of_another_kind_or_region_is_unknown(
    store: JobStore, job_spec: JobSpec
) -> None:
    job = await inserted(store, job_spec)
    assert (await store.get("eu-west-1", job.id, JobKind.FACE_DETECTION)).id == job.id
    for region, job_id, kind in (
        ("us-east-1", job.id, None),
        ("eu-west-1", "f" * 64, None),
        ("eu-west-1", job.id, JobKind.FACE_SEARCH),
    ):
        with pytest.raises(UnknownJob, match=f"{job_id} in {region}"):
            await store.get(region, job_id, kind)


async def test_the_limit_counts_open_jobs_of_a_region(store: JobStore, job_spec: JobSpec) -> None:
    first = await inserted(store, job_spec, 1, open_max=2)
    await inserted(store, replace(job_spec, kind=JobKind.FACE_SEARCH), 2, open_max=2)
    with pytest.raises(TooManyJobs, match="2 jobs") as refused:
        await inserted(store, job_spec, 3, open_max=2)
    assert (refused.value.open_count, refused.value.open_max) == (2, 2)
    await inserted(store, replace(job_spec, region="us-east-1"), 4, open_max=2)
    await store.fail(first, "no video")
    await inserted(store, job_spec, 5, open_max=2)


async def test_listing_is_newest_first_and_pages_within_a_region(
    store: JobStore, job_spec: JobSpec, clock: FakeClock
) -> None:
    for number in (1, 3, 2):
        await inserted(store, job_spec, number)
    await clock.advance(1)
    await inserted(store, job_spec, 4)
    await inserted(store, replace(job_spec, region="us-east-1"), 5)

    async def numbers(after: tuple[float, str] | None, limit: int) -> list[int]:
        return [int(view.id, 16) for view in await store.list_jobs("eu-west-1", after, limit)]

    assert await numbers(None, 2) == [4, 3]
    assert await numbers((clock.now() - 1, f"{3:064x}"), 9) == [2, 1]


async def test_a_damaged_file_is_named(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "j.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreDamaged, match=r"j\.db"):
        await JobStore.open(tmp_path / "j.db", clock, KEPT_S)


# --- tokens ------------------------------------------------------------------------------


async def test_a_token_asks_for_one_job_only(store: JobStore, job_spec: JobSpec) -> None:
    answers = await asyncio.gather(
        *(store.insert(f"{number:064x}", job_spec, "once", 20) for number in range(5))
    )
    ids = {answer if isinstance(answer, str) else answer.id for answer in answers}
    assert len(ids) == 1
    assert sum(isinstance(answer, OpenJob) for answer in answers) == 1
    assert await store.find(job_spec, "once") in ids


async def test_a_token_answers_past_the_limit(store: JobStore, job_spec: JobSpec) -> None:
    job = await inserted(store, job_spec, 1, token="once", open_max=1)
    assert await store.insert("2" * 64, job_spec, "once", 1) == job.id


@pytest.mark.parametrize(
    "changes",
    [
        {"video": ObjectRef("clips", "other.mp4")},
        {"parameters": {"FaceAttributes": "ALL"}},
        {"job_tag": ""},
        {"topic_arn": ""},
    ],
)
async def test_a_token_for_something_else_is_refused(
    store: JobStore, job_spec: JobSpec, changes: dict[str, Any]
) -> None:
    await inserted(store, job_spec, 1, token="once")
    other = replace(job_spec, **changes)
    with pytest.raises(TokenMismatch, match="ClientRequestToken: once you have supplied"):
        await store.insert("2" * 64, other, "once", 20)
    with pytest.raises(TokenMismatch):
        await store.find(other, "once")


async def test_how_a_number_was_written_makes_no_difference(
    store: JobStore, job_spec: JobSpec
) -> None:
    job = await inserted(store, replace(job_spec, parameters={"MinConfidence": 50}), token="t")
    same = replace(job_spec, parameters={"MinConfidence": 50.0})
    assert await store.insert("2" * 64, same, "t", 20) == job.id


async def test_tokens_are_those_of_a_kind_and_a_region(store: JobStore, job_spec: JobSpec) -> None:
    await inserted(store, job_spec, 1, token="t")
    await inserted(store, replace(job_spec, kind=JobKind.FACE_SEARCH), 2, token="t")
    await inserted(store, replace(job_spec, region="us-east-1"), 3, token="t")
    assert await store.find(replace(job_spec, kind=JobKind.PERSON_TRACKING), "t") is None


# --- results -----------------------------------------------------------------------------


async def test_nothing_is_seen_before_the_end(store: JobStore, job_spec: JobSpec) -> None:
    job = await inserted(store, job_spec)
    await store.begin(job)
    await store.results.add(job.key, [Item(0, {"A": 1})], 0.5)
    assert await page(store, job) == []
    assert (await store.get("eu-west-1", job.id)).progress == 0.5
    await store.succeed(job, Outcome(items=[Item(100, {"A": 2})]))
    assert await page(store, job) == [{"Timestamp": 0, "A": 1}, {"Timestamp": 100, "A": 2}]
    view = await store.get("eu-west-1", job.id)
    assert (view.status, view.progress) == ("SUCCEEDED", 1.0)


async def test_another_start_forgets_what_was_written(store: JobStore, job_spec: JobSpec) -> None:
    job = await inserted(store, job_spec)
    for value in (1, 2):
        await store.begin(job)
        await store.results.add(job.key, [Item(0, {"A": value})], 0.5)
        await store.results.judge(job.key, [Group(7, {"B": value})])
    await store.succeed(job, Outcome())
    assert await page(store, job) == [{"Timestamp": 0, "A": 2}]


async def test_a_failure_keeps_nothing_but_its_reason(store: JobStore, job_spec: JobSpec) -> None:
    job = await inserted(store, job_spec)
    await store.begin(job)
    await store.results.add(job.key, [Item(0, {"A": 1})], 0.5)
    await store.fail(job, "s3://clips/clip.mp4 ends early")
    view = await store.get("eu-west-1", job.id)
    assert (view.status, view.message) == ("FAILED", "s3://clips/clip.mp4 ends early")
    assert await page(store, job) == []


async def test_an_end_is_final(store: JobStore, job_spec: JobSpec) -> None:
    job = await inserted(store, job_spec)
    await store.fail(job, "no video")
    await store.rest(job)
    await store.succeed(job, Outcome([Item(0, {})]))
    view = await store.get("eu-west-1", job.id)
    assert (view.status, view.message) == ("FAILED", "no video")
    assert await page(store, job) == []


async def test_pages_in_both_orders_are_whole_and_without_overlap(
    store: JobStore, job_spec: JobSpec
) -> None:
    found = [
        Item(
            timestamp_ms=number % 1250 * 40,  # each moment comes twice, the second time late
            body={"N": number},
            sort_key="abcde"[number % 5],
            confidence=number * 7 % 100,
        )
        for number in range(2500)
    ]
    other = await inserted(store, job_spec, 2)
    job = await inserted(store, job_spec)
    await store.begin(job)
    for start in range(0, 2500, 300):  # another job writes in between
        await store.results.add(job.key, found[start : start + 300], 0.5)
        await store.results.add(other.key, [Item(0, {"N": -1}, sort_key="a")], 0.5)
    await store.succeed(job, Outcome())

    async def numbers(by_key: bool) -> list[int]:
        pages = [await page(store, job, by_key=by_key, offset=at) for at in (0, 1000, 2000, 3000)]
        assert [len(part) for part in pages] == [1000, 1000, 500, 0]
        return [item["N"] for part in pages for item in part]

    def time(number: int) -> tuple[Any, ...]:
        return found[number].timestamp_ms, number

    def key(number: int) -> tuple[Any, ...]:
        return found[number].sort_key, -found[number].confidence, *time(number)

    assert await numbers(by_key=False) == sorted(range(2500), key=time)
    assert await numbers(by_key=True) == sorted(range(2500), key=key)


async def test_aggregations_are_lists_of_their_own(store: JobStore, job_spec: JobSpec) -> None:
    segment = Item(0, {"DurationMillis": 40}, aggregation=Aggregation.SEGMENTS)
    job = await succeeded(store, job_spec, Item(0, {"A": 1}), segment, Item(40, {"A": 1}))
    assert [len(await page(store, job, aggregation=one)) for one in Aggregation] == [2, 1]


async def test_groups_are_merged_into_their_items_or_unlisted(
    store: JobStore, job_spec: JobSpec
) -> None:
    found = [
        Item(at * 100, {"Person": {"Face": {"N": at}}}, group=at % 3, sort_key="z")
        for at in range(9)
    ]
    job = await inserted(store, job_spec)
    await store.begin(job)
    await store.results.add(job.key, [*found, Item(900, {"N": 9}, sort_key="own")], 0.5)
    last = Item(1000, {"Person": {}}, group=1, sort_key="z")
    groups = [
        Group(0, {"Person": {"Index": 1}, "FaceMatches": []}, sort_key="00000001"),
        Group(1, {"Person": {"Index": 0}, "FaceMatches": [{"Similarity": 99.0}]}, "00000000"),
        Group(2, None),
    ]
    await store.succeed(job, Outcome([last], groups))
    listed = await page(store, job)
    assert [item["Timestamp"] for item in listed] == [0, 100, 300, 400, 600, 700, 900, 1000]
    assert listed[1] == {
        "Timestamp": 100,
        "Person": {"Face": {"N": 1}, "Index": 0},
        "FaceMatches": [{"Similarity": 99.0}],
    }
    by_index = await page(store, job, by_key=True)
    times = [item["Timestamp"] for item in by_index]
    assert times == [100, 400, 700, 1000, 0, 300, 600, 900]


async def test_a_group_that_nobody_judged_leaves_its_items_alone(
    store: JobStore, job_spec: JobSpec
) -> None:
    job = await inserted(store, job_spec)
    await store.results.add(job.key, [Item(0, {"A": 1}, group=1), Item(1, {"A": 2}, group=2)], 0.5)
    await store.succeed(job, Outcome(groups=[Group(2, {"B": 3})]))
    assert await page(store, job) == [
        {"Timestamp": 0, "A": 1},
        {"Timestamp": 1, "A": 2, "B": 3},
    ]


async def test_groups_reach_every_step_of_a_long_result(
    store: JobStore, job_spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.jobs.results._ROWS_PER_STEP", 7)
    job = await inserted(store, job_spec)
    await store.results.add(job.key, [Item(at, {}, group=at % 10) for at in range(100)], 0.5)
    groups = [Group(n, {"N": n} if n % 2 else None, sort_key=f"{9 - n}") for n in range(10)]
    await store.succeed(job, Outcome(groups=groups))
    numbers = [item["N"] for item in await page(store, job, by_key=True)]
    assert numbers == sorted([1, 3, 5, 7, 9] * 10, reverse=True)
    store._kept_s = -1e9
    assert await store.expire() == 1


# --- notices -----------------------------------------------------------------------------


async def test_an_end_and_its_notice_are_one(store: JobStore, job_spec: JobSpec) -> None:
    silent = await inserted(store, replace(job_spec, topic_arn=""), 1)
    await store.succeed(silent, Outcome())
    assert await store.outbox.destinations() == []
    job = await inserted(store, job_spec, 2)
    await store.fail(job, "no video")
    await store.fail(job, "no video")  # tried again: told once
    destination = Destination(job_spec.region, job_spec.topic_arn, job_spec.role_arn)
    assert await store.outbox.destinations() == [destination]
    waiting = await store.outbox.oldest(destination)
    assert waiting is not None
    key, notice = waiting
    assert (notice.job_id, json.loads(notice.message)["Status"]) == (job.id, "FAILED")
    await store.outbox.accepted(key)
    assert await store.outbox.oldest(destination) is None


# --- expiry ------------------------------------------------------------------------------


async def test_what_is_past_is_gone_before_it_is_deleted(
    store: JobStore, job_spec: JobSpec, clock: FakeClock
) -> None:
    job = await succeeded(store, job_spec, Item(0, {"A": 1}), token="once")
    await clock.advance(KEPT_S - 1)
    assert await page(store, job) == [{"Timestamp": 0, "A": 1}]
    assert await store.find(job_spec, "once") == job.id
    await clock.advance(1)
    with pytest.raises(UnknownJob):
        await store.get("eu-west-1", job.id)
    # Who has just been told that it SUCCEEDED must not read that nothing was found.
    assert await store.expire() == 0
    assert await page(store, job) == [{"Timestamp": 0, "A": 1}]
    assert await store.list_jobs("eu-west-1", None, 10) == []
    assert await store.find(job_spec, "once") is None
    again = await inserted(store, job_spec, 2, token="once")
    assert await store.find(job_spec, "once") == again.id


async def test_expiry_deletes_everything_of_what_is_past_and_nothing_else(
    store: JobStore, job_spec: JobSpec, clock: FakeClock
) -> None:
    await succeeded(store, job_spec, Item(0, {"A": 1}), Item(0, {}, group=1), number=1)
    running = await inserted(store, job_spec, 2)
    await store.results.add(running.key, [Item(0, {"A": 2})], 0.5)
    await clock.advance(86_400)
    kept = await succeeded(store, job_spec, Item(0, {"A": 3}), number=3)
    await clock.advance(KEPT_S - 86_400 + 3600)
    assert await store.expire() == 1
    assert await store.expire() == 0
    assert await page(store, kept) == [{"Timestamp": 0, "A": 3}]
    await store.succeed(running, Outcome())
    assert await page(store, running) == [{"Timestamp": 0, "A": 2}]
    destination = Destination(job_spec.region, job_spec.topic_arn, job_spec.role_arn)
    waiting = await store.outbox.oldest(destination)
    assert waiting is not None
    assert waiting[1].job_id == kept.id
