"""record() returns with the line written, whoever waits beside it."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from streamproc.audit.details import LISTED_MAX, match_details, record_details
from streamproc.audit.head import read_head
from streamproc.audit.log import SYNC_S, TROUBLE_S, AuditLog, NoAudit, open_audit, record_now
from streamproc.audit.verify import read_lines, verify
from streamproc.clock import FakeClock, SystemClock
from streamproc.errors import StoreUnavailable
from streamproc.model.face import BoundingBox, IndexedFace, Match


async def test_callers_at_once_share_their_way_to_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    audit = await AuditLog.open(folder, SystemClock())
    await asyncio.gather(
        *(audit.record("someone", "SearchFaces", {"Number": number}) for number in range(100))
    )
    assert len(syncs) <= 2
    lines = list(read_lines(folder))
    assert [line.details["Number"] for line in lines] == list(range(100))
    await audit.aclose()
    assert verify(folder).last.number == 100


async def test_what_is_not_durable_is_so_a_second_later(folder: Path, wait_until: Any) -> None:
    clock = FakeClock()
    audit = await AuditLog.open(folder, clock)
    await audit.record("processor", "MatchDelivered", {}, durable=False)
    assert len(list(read_lines(folder))) == 1  # written, and survives us
    head = read_head(folder)
    assert head is not None
    assert head.number == 0
    await clock.advance(SYNC_S)
    await asyncio.to_thread(wait_until, lambda: read_head(folder) != head, 60)
    await audit.aclose()


async def test_a_caller_who_gives_up_undoes_nobodys_line(folder: Path) -> None:
    audit = await AuditLog.open(folder, SystemClock())
    first = asyncio.create_task(audit.record("a", "SearchFaces", {}))
    second = asyncio.create_task(audit.record("b", "SearchFaces", {}))
    await asyncio.sleep(0)
    first.cancel()
    await second
    await audit.aclose()
    assert [line.who for line in read_lines(folder)] == ["a", "b"]


@pytest.mark.parametrize(
    "mistake", ["x" * 2_000_000, float("nan"), object()], ids=["too long", "no number", "no JSON"]
)
async def test_an_entry_that_is_no_line_is_its_callers_mistake_alone(
    folder: Path, mistake: object
) -> None:
    audit = await AuditLog.open(folder, SystemClock())
    good = [asyncio.create_task(audit.record("before", "SearchFaces", {}))]
    await asyncio.sleep(0)
    bad = asyncio.create_task(audit.record("b", "SearchFaces", {"What": mistake}))
    good.append(asyncio.create_task(audit.record("behind", "SearchFaces", {})))
    with pytest.raises((ValueError, TypeError)):
        await bad
    await asyncio.gather(*good)
    await audit.aclose()
    assert [line.who for line in read_lines(folder)] == ["before", "behind"]
    assert verify(folder).last.number == 2


async def test_what_kept_the_last_line_out_is_told_for_a_minute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is kept away by it, a load balancer's clients, would never see it heal."""
    clock = FakeClock()
    audit = await AuditLog.open(folder, clock)
    assert audit.trouble == ""

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(audit._folder, "append", full)
        with pytest.raises(StoreUnavailable):
            await audit.record("someone", "SearchFaces", {})
    assert audit.trouble == "the disk is full"
    await clock.advance(TROUBLE_S)
    assert audit.trouble == ""
    await audit.record("someone", "SearchFaces", {})
    assert audit.trouble == ""
    await audit.aclose()


async def test_a_log_that_is_closed_refuses(folder: Path) -> None:
    audit = await AuditLog.open(folder, SystemClock())
    await audit.aclose()
    with pytest.raises(RuntimeError, match="stopped"):
        await audit.record("someone", "SearchFaces", {})


async def test_closing_writes_all_who_wait(folder: Path) -> None:
    audit = await AuditLog.open(folder, SystemClock())
    waiting = []
    for number in range(5):  # some on the thread, some behind them
        waiting.append(asyncio.create_task(audit.record(str(number), "SearchFaces", {})))
        await asyncio.sleep(0)
    await audit.aclose()
    await asyncio.gather(*waiting)
    assert [line.who for line in read_lines(folder)] == ["0", "1", "2", "3", "4"]


async def test_who_insists_waits_says_so_and_goes_on_by_itself(folder: Path) -> None:
    clock = FakeClock()
    audit = await AuditLog.open(folder, clock)
    away = folder.rename(folder.parent / "away")
    with pytest.raises(StoreUnavailable):
        await audit.record("someone", "SearchFaces", {})
    told: list[str] = []
    told_once = asyncio.Event()

    def report(text: str) -> None:
        told.append(text)
        told_once.set()

    insisting = asyncio.create_task(audit.insist("processor", "MatchDelivered", {}, report))
    await asyncio.wait_for(told_once.wait(), 60)
    assert "audit log" in told[0]
    assert "nothing is lost" in told[0]
    away.rename(folder)
    while not insisting.done():
        await clock.advance(1.0)
        await asyncio.sleep(0.01)
    assert told[1:] == [""]
    await audit.aclose()
    assert [line.event for line in read_lines(folder)] == ["MatchDelivered"]


async def test_a_command_writes_beside_a_running_daemon(folder: Path) -> None:
    audit = await AuditLog.open(folder, SystemClock())
    await audit.record("daemon", "SearchFaces", {})
    record_now(folder.parent, "operator", "CreateKey", {"AccessKeyId": "AK"}, time.time())
    await audit.record("daemon", "SearchFaces", {})
    await audit.aclose()
    assert verify(folder).last.number == 3
    assert [line.who for line in read_lines(folder)] == ["daemon", "operator", "daemon"]


async def test_switched_off_it_leaves_no_trace(tmp_path: Path) -> None:
    audit = await open_audit(tmp_path, SystemClock(), enabled=False)
    assert isinstance(audit, NoAudit)
    await audit.record("a", "SearchFaces", {})
    await audit.insist("a", "SearchFaces", {}, lambda _: None)
    await audit.aclose()
    assert not list(tmp_path.iterdir())


def some_match(number: int, external_image_id: str | None = "Ada-Lovelace") -> Match:
    face = IndexedFace(
        f"face-{number}", "image", external_image_id, BoundingBox(0.125, 0.25, 0.5, 0.5), 99.0, "6"
    )
    return Match(face, 98.76543)


def test_matches_are_ids_and_similarities_and_no_names_or_boxes() -> None:
    details = match_details([some_match(number) for number in range(1000)])
    assert details["Matched"] == 1000
    assert len(details["Matches"]) == LISTED_MAX
    assert details["Matches"][0] == {"FaceId": "face-0", "Similarity": 98.765}
    assert "Ada" not in str(details)


def test_a_record_in_which_nobody_was_recognised_has_no_line() -> None:
    face: dict[str, Any] = {"DetectedFace": {}, "MatchedFaces": []}
    assert record_details({"InputInformation": {}, "FaceSearchResponse": [face]}) is None
