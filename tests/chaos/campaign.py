"""Which faults are played on which rig, and in which order."""

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.chaos import faults, pages
from tests.chaos.clerk import Clerk
from tests.chaos.faults import Fault
from tests.chaos.film import Film
from tests.chaos.play import Plan, play
from tests.chaos.report import Row
from tests.chaos.rig import PeerRig, Rig, daemon_in

CLERK_ROW = "kill -9 amid API calls"
_SMALL_DISK_BYTES = 96 * 1024 * 1024
_AT_ONCE = 6  # rows on one daemon: more would measure the machine and not the daemon

NAMES = tuple(
    fault.name
    for fault in (*faults.PEERS, *faults.MIXED, *faults.DAEMON, *faults.DISK, *pages.PAGES)
)


async def campaign(plan: Plan, names: Collection[str] = NAMES) -> list[Row]:
    """Everything of these names, one rig after the other."""

    film, rows = Film(), list[Row]()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        for number, (play_all, table) in enumerate(
            [
                (on_peers, (*faults.PEERS, *faults.MIXED)),
                (on_daemon, faults.DAEMON),
                (on_daemon, (*faults.DISK, *pages.PAGES)),
            ]
        ):
            found = [fault for fault in table if fault.name in names]
            if found:
                place = folder / str(number)
                place.mkdir()
                rows += await play_all(found, plan, place, film)
    return rows


async def on_peers(table: Sequence[Fault], plan: Plan, folder: Path, film: Film) -> list[Row]:
    """Each fault on a lane of its own, several at the same time; then what strikes them all."""
    turn = asyncio.Semaphore(_AT_ONCE)
    alone = [fault for fault in table if fault.lanes == 1]

    async def one(fault: Fault, rig: Rig) -> Row:
        async with turn:
            return await play(fault, rig, plan)

    rig = PeerRig(daemon_in(folder, "peers"), film, plan.chance("peers"), plan.pace)
    async with _told(rig) as rows:
        rows += await asyncio.gather(*(one(fault, rig) for fault in alone))
        for fault in table:
            if fault not in alone:
                rows.append(await play(fault, rig, plan))
    return rows


async def on_daemon(table: Sequence[Fault], plan: Plan, folder: Path, film: Film) -> list[Row]:
    """One fault after the other: each strikes the daemon itself."""
    wants_disk = any(fault.inject is faults.disk_filled for fault in table)
    with small_disk(folder / "disk", wanted=wants_disk) as problem:
        rig = Rig(
            daemon_in(folder, "data", folder / "disk"), film, plan.chance("daemon"), plan.pace
        )
        async with _told(rig) as rows:
            for fault in table:
                if fault.inject is faults.killed:
                    rows += await _amid_calls(fault, rig, plan)
                elif fault.inject is faults.disk_filled and problem:
                    rows.append(Row(fault.name, skipped=problem))
                else:
                    rows.append(await play(fault, rig, plan))
        return rows


async def _amid_calls(fault: Fault, rig: Rig, plan: Plan) -> list[Row]:
    clerk = Clerk(rig.rekognition)
    calling = asyncio.create_task(clerk.run())
    row = await play(fault, rig, plan, plan.kills)
    calling.cancel()
    await asyncio.wait([calling])
    acknowledged = plan.row(CLERK_ROW, plan.kills)
    acknowledged.injected, acknowledged.cut_short = row.injected, row.cut_short
    acknowledged.verdict = await clerk.verdict()
    told = f"{clerk.calls_total} calls were answered; sampled is what they made or deleted"
    acknowledged.notes.append(told)
    return [row, acknowledged]


@contextmanager
def small_disk(folder: Path, *, wanted: bool) -> Iterator[str]:
    """A file system of its own in this folder; yields why there is none, else ""."""
    folder.mkdir()
    if not wanted:
        yield "nobody wanted a small disk"
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, timeout=10, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        problem = str(error)
    try:
        yield problem and f"a small disk needs root and the right to mount ({problem})"
    finally:
        if not problem:
            with contextlib.suppress(OSError):
                subprocess.run(["umount", "-l", str(folder)], timeout=10, check=False)


@asynccontextmanager
async def _told(rig: Rig) -> AsyncIterator[list[Row]]:
    """The rig's rows; the last of them tells what is in the daemon's log."""
    rows: list[Row] = []
    async with rig.opened():
        yield rows
    traces = rig.child.log.count("Traceback (most recent call last)")
    if rows and traces:
        rows[-1].notes.append(f"the daemon's log holds {traces} tracebacks of all this")
    if not all(row.is_good for row in rows):
        rows[-1].notes.append(f"the daemon's log ends:\n{rig.child.log[-2000:]}")
