"""Play a fault to its lanes so many times, and fill in its row.

After each time the processors must come back by themselves; at the end everything that was due
must be there.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.consumer import UNREACHABLE
from tests.chaos.faults import Fault, Struck
from tests.chaos.ledger import Verdict
from tests.chaos.report import RECOVERY_S_MAX, Row
from tests.chaos.rig import Lane, Rig, Trouble

STUCK_S = 180.0  # no new record for this long: it does not come back by itself


@dataclass
class Plan:
    """seed: the same one tells the same story. times_scale and pace: for a slow machine."""

    seed: int
    each: int
    kills: int
    times_scale: float = 1.0
    minutes: float = 1e6
    pace: float = 1.0
    say: Callable[[str], None] = print
    began: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self.began > self.minutes * 60

    def row(self, name: str, asked: int | None = None) -> Row:
        asked = self.each if asked is None else asked
        return Row(name, asked=asked, recovery_s_max=RECOVERY_S_MAX * self.times_scale)

    def chance(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def tell(self, row: Row, text: str = "") -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        slowest = max(row.recoveries_s, default=0.0)
        self.say(
            f"{minutes:2d}:{seconds:02d}  {row.name}: {row.injected} of {row.asked}, "
            f"slowest recovery {slowest:.1f} s{text and '; '}{text}"
        )


async def play(fault: Fault, rig: Rig, plan: Plan, asked: int | None = None) -> Row:
    row, chance = plan.row(fault.name, asked), plan.chance(fault.name)
    async with rig.lanes(fault.name, fault.lanes, fault.pace) as lanes:
        with contextlib.suppress(Trouble):
            await _strike(fault, lanes, plan, row, chance)
        await _settle(lanes, plan, row)
    row.verdict = sum((lane.verdict() for lane in lanes), Verdict())
    if not row.verdict.identified:
        row.notes.append("not every record has a RecordId")
    plan.tell(row, "done" if row.is_good else " ".join(["BAD", *row.troubles[:1]]))
    return row


async def _strike(
    fault: Fault, lanes: Sequence[Lane], plan: Plan, row: Row, chance: random.Random
) -> None:
    with _noting(row):
        await _all(lane.recovered(0.0, STUCK_S) for lane in lanes)  # before: all is well
    told = row.injected
    while row.injected < row.asked:
        if plan.is_over:
            row.cut_short = True
            return
        await asyncio.sleep(chance.uniform(*fault.pause_s))
        with _noting(row):
            struck = await fault.inject(lanes, chance)
            row.injected += struck.times
            if struck.what:
                row.forms[struck.what] = row.forms.get(struck.what, 0) + 1
            await _come_back(lanes, struck, row)
        if row.injected - told >= 10:
            told = row.injected
            plan.tell(row)


async def _come_back(lanes: Sequence[Lane], struck: Struck, row: Row) -> None:
    times = await _all(lane.recovered(struck.over_at, STUCK_S) for lane in lanes)
    row.recoveries_s.append(max(times))
    for lane in lanes:
        await lane.check()


async def _settle(lanes: Sequence[Lane], plan: Plan, row: Row) -> None:
    for lane in lanes:
        lane.camera.pause()
    for lane in lanes:
        with contextlib.suppress(Trouble), _noting(row):
            await lane.settle(STUCK_S * plan.times_scale)
            if complaint := await lane.at_rest():
                raise Trouble(complaint)


async def _all(works: Iterable[Coroutine[Any, Any, float]]) -> list[float]:
    return list(await asyncio.gather(*works))


@contextlib.contextmanager
def _noting(row: Row) -> Iterator[None]:
    """What a person would have had to see to goes to the row, and ends its story."""
    try:
        yield
    except (Trouble, AssertionError, *UNREACHABLE) as trouble:
        row.troubles.append(str(trouble) or repr(trouble))
        raise Trouble from trouble
