"""Checks: what one says, and what is made of those that cannot say it."""

import asyncio

import pytest

from streamproc.cameras.view import Camera, CameraStatus, CameraView, FeedView
from streamproc.errors import EngineError
from streamproc.events.outlet import OutletView
from streamproc.health import Health, failing
from streamproc.self_checks import troubled_cameras, troubled_outlets


async def test_a_check_is_well_or_says_what_is_wrong() -> None:
    health = Health()
    health.add("disk", lambda: "", vital=True)
    health.add("cameras", lambda: "door is off; switch it on")
    disk, cameras = await health.checks()
    assert (disk.name, disk.ok, disk.message, disk.vital) == ("disk", True, "", True)
    assert (cameras.ok, cameras.message) == (False, "door is off; switch it on")
    assert failing([disk, cameras]) == [cameras]
    assert failing([disk, cameras], vital=True) == []


async def test_a_check_that_breaks_or_hangs_is_a_finding_and_no_end_of_the_others() -> None:
    health = Health(timeout_s=0.01)

    def broken() -> str:
        raise RuntimeError("no such thing")

    def ours() -> str:
        raise EngineError("the models are not there; install them")

    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    async def well() -> str:
        return ""

    for examine in (broken, ours, hangs, well):
        health.add(examine.__name__, examine)
    told = {check.name: check.message for check in await health.checks()}
    assert told["broken"] == "cannot be told (RuntimeError: no such thing)"
    assert told["ours"] == "the models are not there; install them"
    assert told["hangs"].startswith("no answer within 0.01 s")
    assert told["well"] == ""


async def test_a_disk_that_hangs_is_asked_once_however_many_come() -> None:
    health, asked, may_answer = Health(timeout_s=0.01), 0, asyncio.Event()

    async def disk() -> str:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        raise OSError("it was unplugged")

    health.add("disk", disk)
    for _ in range(3):
        told = await asyncio.gather(*(health.checks() for _ in range(5)))
        assert all("no answer" in check.message for [check] in told)
    assert asked == 1
    may_answer.set()
    [check] = await health.checks()
    assert check.message == "cannot be told (OSError: it was unplugged)"


async def test_all_who_want_to_know_at_once_are_told_the_same_and_all_that_is_known() -> None:
    health, asked = Health(), 0

    def models() -> str:
        nonlocal asked
        asked += 1
        return ""

    health.add("models", models)
    askers = [asyncio.create_task(health.checks()) for _ in range(500)]
    await asyncio.wait(askers)
    assert asked == 1
    under_way = asyncio.create_task(health.checks())
    await asyncio.sleep(0)
    health.add("stopping", lambda: "ask another", vital=True)
    assert [check.name for check in await health.checks()] == ["models", "stopping"]
    await under_way


async def test_a_question_is_asked_once_and_who_gives_up_takes_it_from_nobody() -> None:
    health, asked, may_answer = Health(timeout_s=60), 0, asyncio.Event()

    async def question() -> int:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        return 7

    askers = [asyncio.create_task(health.ask("room", question)) for _ in range(5)]
    await asyncio.sleep(0)
    askers[0].cancel()
    await asyncio.wait(askers[:1])
    may_answer.set()
    assert await asyncio.gather(*askers[1:]) == [7] * 4
    assert asked == 1


def test_a_name_is_taken_once() -> None:
    health = Health()
    health.add("disk", str)
    with pytest.raises(ValueError, match="disk"):
        health.add("disk", str)


def camera(name: str, status: CameraStatus, message: str = "") -> CameraView:
    feed = FeedView(status=status, message=message)
    return CameraView.of(Camera(name, "us-east-1", "rtsp://***@host/", name), feed)


def test_cameras_and_outlets_that_are_away_are_named_but_not_all_of_a_hundred() -> None:
    assert troubled_cameras([camera("door", CameraStatus.LIVE)]) == ""
    away = [camera(f"cam{number}", CameraStatus.RETRYING, "is off") for number in range(100)]
    told = troubled_cameras(away)
    assert told.startswith("not live: cam0 (is off); cam1 (is off)")
    assert told.endswith("and 95 more")
    outlet = OutletView("mqtt", "mqtt", False, "connection refused", 3, 0, 0, 1)
    assert troubled_outlets([outlet]) == "not connected: mqtt mqtt (connection refused)"
