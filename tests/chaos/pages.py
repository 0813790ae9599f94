"""A database page goes bad while the daemon is down; the backup of a moment before saves it.

The daemon must not go on in silence: it refuses to start and names the file and the remedy, or
the processor says what is wrong, or the page is one that nothing needs. Then `streamproc
restore` brings back the state of the backup, made when everything due had arrived: nothing of
that may be lost, and records come again as after any stop. What was taken in between damage and
restore is promised by nobody, and is struck from the ledger.
"""

import asyncio
import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.chaos.faults import Fault, Struck, started_again
from tests.chaos.process import ROOT
from tests.chaos.rig import Lane, Trouble

_PAGE = 4096
_QUIET_S, _WATCH_S, _STOP_S = 60.0, 3.0, 20.0


async def page_damaged(lanes: Sequence[Lane], chance: random.Random) -> Struck:
    rig = lanes[0].rig
    for lane in lanes:
        await lane.settle(_QUIET_S)
    folder, backup = rig.child.data_dir, rig.child.log_file.with_suffix(".backup")
    backup.unlink(missing_ok=True)
    while_running = chance.random() < 0.5
    if while_running:
        await asyncio.to_thread(_streamproc, "backup", backup, "--data-dir", folder)
    if code := await asyncio.to_thread(rig.child.stop):
        raise Trouble(f"SIGTERM: exit code {code}: {rig.child.log[-1000:]}")
    if not while_running:
        await asyncio.to_thread(_streamproc, "backup", backup, "--data-dir", folder)
    pasts = [lane.past() for lane in lanes]
    file, page = chance.choice(await asyncio.to_thread(_pages_in_use, folder))
    await asyncio.to_thread(_damage, file, page, chance)
    damage = f"page {page} of {file.relative_to(folder)} is damaged"
    what = await _go_on_damaged(lanes, damage, file)
    shutil.rmtree(folder)  # a person would move it away
    await asyncio.to_thread(_streamproc, "restore", backup, "--data-dir", folder)
    for lane, past in zip(lanes, pasts, strict=True):
        lane.return_to(past)
    struck = await started_again(lanes, 1)
    for lane in lanes:
        lane.camera.go_on()
    return replace(struck, what=what)


async def _go_on_damaged(lanes: Sequence[Lane], damage: str, file: Path) -> str:
    """Start it, use it for a while if it starts, and stop it; what it made of the damage.

    Raises Trouble.
    """
    child = lanes[0].rig.child
    said = await asyncio.to_thread(child.refuses_to_start)
    if said is not None:
        if file.name not in said or "restore" not in said or "Traceback" in said:
            raise Trouble(f"{damage}, and the daemon says: {said[-1500:]}")
        return "refused to start"
    for lane in lanes:
        lane.camera.go_on()
    await asyncio.sleep(_WATCH_S)
    for lane in lanes:
        lane.camera.pause()
    said_why = [await _delivers_or_says_why(lane, damage) for lane in lanes]
    try:
        await asyncio.to_thread(child.stop, _STOP_S)
    except subprocess.TimeoutExpired:
        await asyncio.to_thread(child.kill)
        raise Trouble(f"{damage}, and the daemon does not stop") from None
    return "said why" if any(said_why) else "not noticed, nothing missing"


async def _delivers_or_says_why(lane: Lane, damage: str) -> str:
    """The processor's message if it has one; "" if it has none and nothing is missing."""
    missing, described = [], {}
    for _ in range(60):
        missing = lane.camera.ledger.missing(lane.consumer.keys)
        described = await lane.described()
        if not missing or described.get("StatusMessage"):
            return str(described.get("StatusMessage", ""))
        await asyncio.sleep(0.5)
    raise Trouble(f"{damage}; {lane.name} lacks {len(missing)} records and says {described}")


def _pages_in_use(folder: Path) -> list[tuple[Path, int]]:
    """The first page of every database, and the root of every table and index with rows."""
    found = []
    for file in sorted(folder.rglob("*.db")):
        found.append((file, 1))
        with contextlib.closing(sqlite3.connect(file)) as database:
            tree = database.execute("SELECT tbl_name, rootpage FROM sqlite_master")
            for table, page in tree.fetchall():
                query = f'SELECT EXISTS (SELECT 1 FROM "{table}")'
                if page and database.execute(query).fetchone()[0]:
                    found.append((file, page))
    return found


def _damage(file: Path, page: int, chance: random.Random) -> None:
    """Overwrite one page, so that SQLite sees it when it reads it: no page has this type."""
    for ending in ("-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)  # a clean stop has emptied it
    with file.open("r+b") as database:
        database.seek((page - 1) * _PAGE)
        database.write(b"\xff" + chance.randbytes(_PAGE - 1))


def _streamproc(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Trouble(f"streamproc {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")


PAGES = (Fault("database page damaged", page_damaged, pause_s=(0.2, 0.6)),)
