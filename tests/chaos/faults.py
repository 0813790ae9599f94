"""The faults, as a table: each a short story of what goes wrong, told to running lanes.

inject() returns once the fault is over, with the moment it was (epoch seconds) and how many
times it struck. Whoever lets records come again says so in lane.repeats or lane.resent. Raises
Trouble for what a person would have to see to.
"""

import asyncio
import contextlib
import os
import random
import resource
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from tests.chaos import data_proxy
from tests.chaos.rig import STOP_TIMEOUT_S, Lane, PeerRig, Rig, Trouble
from tests.chaos.video_peer import DISTURBANCES, MET_S_MAX, PeerStream

_STOP_GRACE_S = 5.0  # beyond stop_timeout_s
_CLOCK_STEPS_S = (-7200.0, -600.0, -30.0, -1.0, 1.0, 30.0, 600.0, 7200.0)


@dataclass(frozen=True)
class Struck:
    over_at: float
    times: int = 1
    what: str = ""  # where a fault has several forms


Inject: TypeAlias = Callable[[Sequence[Lane], random.Random], Coroutine[Any, Any, Struck]]


@dataclass(frozen=True)
class Fault:
    name: str
    inject: Inject
    lanes: int = 1  # that it strikes together
    pause_s: tuple[float, float] = (0.5, 1.5)
    pace: float = 1.0  # of the cameras; the denser the records, the likelier one is on its way


def _rig(lanes: Sequence[Lane]) -> Rig:
    return lanes[0].rig


# --- the daemon's own end -----------------------------------------------------------------


async def killed(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    """kill -9 while it runs, while it drains, while it starts."""
    rig = _rig(lanes)
    child, moment = rig.child, chance.choice(["running", "running", "draining", "starting"])
    times = 1
    if moment == "draining":
        child.terminate()
        await asyncio.sleep(chance.uniform(0, 0.5))
    await asyncio.to_thread(child.kill)
    if moment == "starting":
        await asyncio.to_thread(child.launch)
        await asyncio.sleep(chance.uniform(0.2, 2.5))
        await asyncio.to_thread(child.kill)
        times += 1
    return replace(await started_again(lanes, times), what=moment)


async def terminated(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    """SIGTERM: it must be gone within stop_timeout_s and a little, with exit code 0."""
    child, began = _rig(lanes).child, time.monotonic()
    try:
        code = await asyncio.to_thread(child.stop, STOP_TIMEOUT_S + _STOP_GRACE_S)
    except Exception:
        child.kill()
        raise Trouble(
            f"SIGTERM: not gone within {STOP_TIMEOUT_S + _STOP_GRACE_S:.0f} s: {child.log[-1000:]}"
        ) from None
    if code != 0:
        told = f"SIGTERM: exit code {code} after {time.monotonic() - began:.1f} s"
        raise Trouble(f"{told}: {child.log[-1000:]}")
    return await started_again(lanes, 1)


async def started_again(lanes: Sequence[Lane], times: int) -> Struck:
    rig = _rig(lanes)
    for lane in lanes:
        lane.repeats += times
    over_at, rig.clock_stepped_s = time.time(), 0.0
    await asyncio.to_thread(rig.child.start)
    return Struck(over_at, times)


async def clock_stepped(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    rig = _rig(lanes)
    allowed = [step for step in _CLOCK_STEPS_S if abs(rig.clock_stepped_s + step) <= 21_600]
    step_s = chance.choice(allowed)
    await asyncio.to_thread(rig.child.step_clock, step_s)
    rig.clock_stepped_s += step_s
    return Struck(time.time(), what="forward" if step_s > 0 else "back")


async def disk_filled(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    """Not a byte is free for a while; the data folder must be a file system of its own."""
    rig = _rig(lanes)
    ballast = rig.child.data_dir / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            _fill(file.fileno(), rig.child.data_dir)
            deadline = time.monotonic() + chance.uniform(0.5, 2.0)
            while time.monotonic() < deadline:
                _fill(file.fileno(), rig.child.data_dir)  # what the daemon gives back
                await asyncio.sleep(0.05)
    finally:
        ballast.unlink(missing_ok=True)
    if not rig.child.is_running:
        raise Trouble(f"a full disk has ended the daemon: {rig.child.log[-1500:]}")
    return Struck(time.time())


async def writes_refused(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    """No file of the daemon's may grow for a while (RLIMIT_FSIZE); its log may not either."""
    child = _rig(lanes).child
    before = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        await asyncio.sleep(chance.uniform(0.5, 2.0))
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, before)
    if not child.is_running:
        raise Trouble(f"a disk that refuses has ended the daemon: {child.log[-1500:]}")
    return Struck(time.time())


def _fill(handle: int, folder: Path) -> None:
    free = os.statvfs(folder)
    size = os.lseek(handle, 0, os.SEEK_END)
    for chunk in (free.f_bavail * free.f_frsize, 4096):
        with contextlib.suppress(OSError):
            while chunk:
                os.posix_fallocate(handle, size, chunk)
                size += chunk
                os.lseek(handle, 0, os.SEEK_END)
                if chunk > 4096:
                    break


# --- what comes in ------------------------------------------------------------------------


def video(*whats: str) -> Inject:
    """One of these happens to the lane's video stream."""

    async def inject(lanes: Sequence[Lane], chance: random.Random) -> Struck:
        [lane] = lanes
        stream, what = lane.camera, chance.choice(whats)
        assert isinstance(stream, PeerStream)
        try:
            if what in DISTURBANCES:
                await stream.disturb(what)
            else:
                await stream.twist(what)
        except TimeoutError:
            raise Trouble(f"{lane.name}: nobody reads the stream; {await lane.state()}") from None
        lane.resent += what == "repeat"
        return Struck(time.time(), what=what if len(whats) > 1 else "")

    return inject


# --- what goes out ------------------------------------------------------------------------


def data(fault: data_proxy.Fault, *, lasts_s: tuple[float, float] = (0.0, 0.0)) -> Inject:
    """PutRecords of the lane fail, from the first on for so long; for no time means just one."""

    async def inject(lanes: Sequence[Lane], chance: random.Random) -> Struck:
        [lane] = lanes
        rig = _rig(lanes)
        assert isinstance(rig, PeerRig)
        async with rig.proxy.failing(lane.name, fault, once=not lasts_s[1]) as met:
            try:
                async with asyncio.timeout(MET_S_MAX):
                    await met.wait()
            except TimeoutError:
                raise Trouble(f"{lane.name}: no PutRecords; {await lane.state()}") from None
            await asyncio.sleep(chance.uniform(*lasts_s))
        return Struck(time.time())

    return inject


async def data_stream_gone(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    """Deleted with all that is in it, once that is read; and made again a little later."""
    [lane] = lanes
    rig = _rig(lanes)
    assert isinstance(rig, PeerRig)
    async with rig.proxy.holding(lane.name):
        await lane.consumer.read()
        await rig.kinesis.delete_stream(StreamName=lane.name)
        lane.consumer.begin_again()
    await asyncio.sleep(chance.uniform(0.5, 2.0))
    await rig.kinesis.create_stream(StreamName=lane.name, ShardCount=1)
    return Struck(time.time())


async def mixed(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    """Something on every lane at once, and often the daemon's end in the middle of it."""
    struck = [
        asyncio.create_task(
            chance.choice(MIXABLE).inject([lane], random.Random(chance.random()))  # each its own
        )
        for lane in lanes
    ]
    name, end = chance.choice(_ENDS)
    over_at = 0.0
    try:
        if end is not None:
            await asyncio.sleep(chance.uniform(0, 1.0))
            over_at = (await end(lanes, chance)).over_at
    finally:
        await asyncio.wait(struck)
    return Struck(max([over_at, *(each.result().over_at for each in struck)]), what=name)


_ENDS: tuple[tuple[str, Inject | None], ...] = (
    ("alone", None),
    ("with kill -9", killed),
    ("with SIGTERM", terminated),
    ("with the clock stepped", clock_stepped),
)
_WHILE = (0.2, 1.5)

DAEMON = (
    Fault("kill -9", killed, lanes=2, pause_s=(0.0, 1.5), pace=2.5),
    Fault("SIGTERM", terminated, lanes=2, pace=2.5),
    Fault("clock stepped", clock_stepped, lanes=2, pause_s=(0.0, 0.5)),
)
DISK = (
    Fault("disk full", disk_filled, lanes=2),
    Fault("disk refuses writes", writes_refused, lanes=2),
)
PEERS = (
    Fault("cut in mid-fragment", video("cut")),
    Fault("session ended by the service", video("end")),
    Fault("in-stream error", video("error", "undeliverable")),
    Fault("fragment missing", video("missing")),
    Fault("fragment repeated", video("repeat")),
    Fault("fragments out of order", video("swapped numbers", "swapped times")),
    Fault("fragments overlap", video("overlap")),
    Fault("producer with a new clock", video("new clock")),
    Fault("damaged packet", video("damaged packet")),
    Fault("damaged fragment", video("damage", "damaged")),
    Fault("fragment damaged in size", video("damage in size", "damaged in size")),
    Fault("PutRecords throttled", data(data_proxy.throttled, lasts_s=_WHILE)),
    Fault("PutRecords refused in part", data(data_proxy.refused_in_part, lasts_s=_WHILE)),
    Fault("PutRecords times out, accepted", data(data_proxy.accepted_in_silence)),
    Fault("PutRecords reset before", data(data_proxy.reset_before, lasts_s=_WHILE)),
    Fault("PutRecords reset, accepted", data(data_proxy.reset_after)),
    Fault("PutRecords answers 500", data(data_proxy.broken, lasts_s=_WHILE)),
    Fault("data stream gone and back", data_stream_gone),
)
_ALONE = {
    "fragments out of order",  # numbers that fall back cannot be asked for after a crash
    "fragment damaged in size",  # may take a minute to find
    "data stream gone and back",  # takes along what nobody has read
}
MIXABLE = tuple(fault for fault in PEERS if fault.name not in _ALONE)
MIXED = (Fault("mixed", mixed, lanes=3),)
