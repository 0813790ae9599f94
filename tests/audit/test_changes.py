"""A change is asked for in the log before it happens, and answered after its receipt."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from streamproc.api.auditing import audited_answer, audited_change
from streamproc.api.service import ApiServices
from streamproc.audit.log import AuditLog
from streamproc.audit.verify import read_lines
from streamproc.clock import FakeClock
from streamproc.errors import CollectionNotFound
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InternalFailure

CONTEXT = RequestContext("rekognition", "DeleteFaces", "eu-west-1", "1", "request-1")


@dataclass
class Log:
    """All that audited_change looks for in the services."""

    audit: AuditLog
    clock: FakeClock
    folder: Path

    @property
    def services(self) -> ApiServices:
        return cast("ApiServices", self)

    def told(self) -> list[tuple[Any, Any]]:
        return [
            (line.details.get("Stage"), line.details.get("FaceIds"))
            for line in read_lines(self.folder)
        ]


@pytest.fixture
async def log(folder: Path) -> AsyncIterator[Log]:
    clock = FakeClock()
    audit = await AuditLog.open(folder, clock)
    yield Log(audit, clock, folder)
    await audit.aclose()


async def test_what_was_asked_and_what_was_done_are_two_lines(log: Log) -> None:
    async with audited_change(log.services, CONTEXT, FaceIds=["a", "b"]) as done:
        assert log.told() == [("asked", ["a", "b"])]
        done["FaceIds"] = ["a"]
    assert log.told() == [("asked", ["a", "b"]), ("done", ["a"])]


async def test_a_change_that_fails_says_so_and_why(log: Log) -> None:
    with pytest.raises(CollectionNotFound):
        async with audited_change(log.services, CONTEXT, FaceIds=["a"]):
            raise CollectionNotFound("people")
    assert [stage for stage, _ in log.told()] == ["asked", "failed"]
    *_, last = read_lines(log.folder)
    assert last.details["Error"] == "CollectionNotFound"


async def test_what_cannot_be_asked_for_does_not_happen(log: Log) -> None:
    away = log.folder.rename(log.folder.parent / "away")
    happened = False
    with pytest.raises(InternalFailure, match="not carried out"):
        async with audited_change(log.services, CONTEXT, FaceIds=["a"]):
            happened = True
    assert not happened
    with pytest.raises(InternalFailure, match="not carried out"):
        await audited_answer(log.services, CONTEXT, Matched=1)
    away.rename(log.folder)
    assert log.told() == []


async def test_a_change_that_happened_is_never_refused_its_answer_waits_for_the_receipt(
    log: Log,
) -> None:
    away = log.folder.parent / "away"
    happened = asyncio.Event()

    async def change() -> None:
        async with audited_change(log.services, CONTEXT, FaceIds=["a"]):
            log.folder.rename(away)
            happened.set()

    changing = asyncio.create_task(change())
    await asyncio.wait_for(happened.wait(), 60)
    await log.clock.advance(5.0)
    assert not changing.done()
    away.rename(log.folder)
    while not changing.done():
        await log.clock.advance(1.0)
        await asyncio.sleep(0.01)
    await changing
    assert log.told() == [("asked", ["a"]), ("done", ["a"])]
