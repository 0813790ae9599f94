"""The harness in short: two kills or three, every other fault once, nothing lost.

`make chaos` is the whole of it. Patience is generous here: what is promised of time is measured
there.
"""

import asyncio
from pathlib import Path

from tests.chaos import faults, pages
from tests.chaos.campaign import CLERK_ROW, on_daemon, on_peers
from tests.chaos.film import Film
from tests.chaos.play import Plan
from tests.chaos.report import table

SEED = 20_260_101


async def test_nothing_is_lost_whatever_happens(tmp_path: Path) -> None:
    """Two daemons at the same time, since both mostly wait: one whose streams misbehave, one
    that is killed, stopped and set back, on a disk that is full, with a database gone bad."""
    plan = Plan(SEED, each=1, kills=2, times_scale=6)
    # Of a size that is wrong one may have to wait a minute for more bytes to know.
    quick = [fault for fault in faults.PEERS if fault.name != "fragment damaged in size"]
    streams = (*quick, *faults.MIXED)
    daemon = (*faults.DAEMON, *faults.DISK, *pages.PAGES)
    film = Film()
    for name in ("streams", "daemon"):
        (tmp_path / name).mkdir()
    found = await asyncio.gather(
        on_peers(streams, plan, tmp_path / "streams", film),
        on_daemon(daemon, plan, tmp_path / "daemon", film),
    )
    rows = [row for part in found for row in part]
    assert {row.name for row in rows} == {CLERK_ROW, *(fault.name for fault in streams + daemon)}
    assert all(row.is_good for row in rows), f"\n{table(rows)}"
