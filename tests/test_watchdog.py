"""systemd is told the truth: ready, well, stopping; and nothing once something is stuck."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.clock import FakeClock
from streamproc.engines.fake import FakeEngine
from streamproc.engines.scheduler import Scheduler
from streamproc.watchdog import Systemd, fed


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        yield listener


def environment(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def heard(manager: socket.socket) -> list[str]:
    """Everything told so far."""
    manager.setblocking(False)
    told = []
    while True:
        try:
            told.append(manager.recv(4096).decode())
        except BlockingIOError:
            return told


def test_it_is_told_in_the_words_of_the_protocol(manager: socket.socket) -> None:
    Systemd(environment(manager)).tell("READY=1", "STATUS=answers")
    assert heard(manager) == ["READY=1\nSTATUS=answers"]


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0streamproc-test-{os.getpid()}")
        Systemd({"NOTIFY_SOCKET": f"@streamproc-test-{os.getpid()}"}).tell("READY=1")
        assert listener.recv(100) == b"READY=1"


def test_without_systemd_there_is_silence() -> None:
    systemd = Systemd({})
    systemd.tell("READY=1")
    assert systemd.watchdog_s == 0


def test_a_manager_that_is_gone_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")
    assert "READY=1" in caplog.text


@pytest.mark.parametrize(
    ("variables", "limit_s"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_watchdog_is_for_this_process_or_not_at_all(
    manager: socket.socket, variables: dict[str, str], limit_s: float
) -> None:
    assert Systemd(environment(manager, **variables)).watchdog_s == limit_s


async def test_the_dog_is_fed_four_times_as_often_as_it_needs(manager: socket.socket) -> None:
    clock = FakeClock()
    systemd = Systemd(environment(manager, WATCHDOG_USEC="60000000"))
    async with fed(systemd, lambda _: "", clock):
        await clock.advance(60.0)
    assert heard(manager) == ["WATCHDOG=1"] * 5


async def test_what_is_stuck_is_logged_and_the_dog_is_not_fed(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    clock, stuck = FakeClock(), ""
    limits = []

    def check(limit_s: float) -> str:
        limits.append(limit_s)
        return stuck

    systemd = Systemd(environment(manager, WATCHDOG_USEC="60000000"))
    with caplog.at_level(logging.CRITICAL):
        async with fed(systemd, check, clock):
            await clock.advance(10.0)
            stuck = "work for cam does not end"
            heard(manager)
            await clock.advance(60.0)
            assert heard(manager) == []
            assert caplog.text.count("work for cam does not end") == 1
            stuck = ""
            await clock.advance(15.0)
            assert heard(manager) == ["WATCHDOG=1"]
    assert set(limits) == {45.0}


async def test_an_engine_that_hangs_is_stuck_and_one_that_has_nothing_to_do_is_not() -> None:
    entered, release = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        entered.set()
        release.wait(60)

    scheduler = Scheduler(FakeEngine(before=hang), threads=1)
    try:
        assert scheduler.stuck(0.0) == ""
        import numpy as np

        work = asyncio.create_task(scheduler.analyse(np.zeros((80, 80, 3), np.uint8), "eu/cam"))
        await asyncio.to_thread(entered.wait, 60)
        assert "eu/cam" in scheduler.stuck(0.0)
        assert scheduler.stuck(3600.0) == ""
        release.set()
        await work
        assert scheduler.stuck(0.0) == ""
    finally:
        release.set()
        await scheduler.aclose()


def test_a_loop_that_hangs_feeds_nothing(manager: socket.socket) -> None:
    """Real time, since it is about a real loop that does not turn."""
    hanging, release = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        release.wait(60)

    async def run() -> None:
        systemd = Systemd(environment(manager, WATCHDOG_USEC="40000"))
        from streamproc.clock import SystemClock

        async with fed(systemd, lambda _: "", SystemClock()):
            await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_soon(hang)
            await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert hanging.wait(60)
        assert heard(manager)
        manager.settimeout(0.4)  # ten times as long as systemd would wait
        with pytest.raises(TimeoutError):
            manager.recv(100)
    finally:
        release.set()
        thread.join(60)
