"""Keeps a processor's checkpoint on disk, whatever the disk does.

Twice: soon after it has advanced, and at the latest before the next record leaves. So when the
first record of a fragment is sent, the fragments before it are behind the checkpoint on disk,
and a crash repeats records of one fragment only. Knows patience; what a checkpoint is and when
it advances, the tracker knows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StoreUnavailable
from streamproc.processor.checkpoint import Checkpoint, CheckpointTracker
from streamproc.processor.ports import Report
from streamproc.processor.scopes import abandoned_when

CHECKPOINT_S_MIN = 0.5
"""Pause between two saves that nothing waits for."""

SAVE_S_MAX = 2.0
"""A record waits no longer than this for a disk that does not answer."""

SaveCheckpoint: TypeAlias = Callable[[Checkpoint], Awaitable[None]]
"""On disk when it returns. Raises StoreUnavailable for what may heal."""


class CheckpointKeeper:
    """Of one run. sampled_at goes to the tracker."""

    def __init__(
        self,
        save: SaveCheckpoint,
        clock: Clock,
        roll: Callable[[], float],
        report: Report,
        sampled_at: float | None = None,
    ) -> None:
        self._save = save
        self._clock = clock
        self._roll = roll
        self._report = report
        self._progress = asyncio.Event()
        self.tracker = CheckpointTracker(self._progress.set, sampled_at)
        self._saved: Checkpoint | None = None
        self._saving = asyncio.Lock()
        self._disk_hangs = False

    async def run(self) -> None:
        """Save what advances, for ever. Raises what no retry heals."""
        attempt = 0
        while True:
            await self._progress.wait()
            self._progress.clear()
            if await self._saved_now():
                attempt = 0
                await self._clock.sleep(CHECKPOINT_S_MIN)
            else:
                self._progress.set()
                await self._clock.sleep(backoff_seconds(attempt, base_s=0.2, roll=self._roll))
                attempt += 1

    async def before_send(self) -> None:
        """Return once the checkpoint is on disk as far as it has come, or the disk is in
        trouble: that is told, run() goes on trying, and no record waits for it."""
        if self._is_saved or self._disk_hangs:
            return
        async with abandoned_when(self._clock.sleep(SAVE_S_MAX)) as patience:
            await self._saved_now()
        if patience.expired():
            self._disk_hangs = True
            self._progress.set()
            self._tell(f"the disk has not answered for {SAVE_S_MAX:g} s")

    async def finish(self) -> None:
        """The last save. If the disk is in trouble, a restart repeats some records."""
        async with abandoned_when(self._clock.sleep(SAVE_S_MAX)):
            await self._saved_now()

    @property
    def _is_saved(self) -> bool:
        return self.tracker.position in (None, self._saved)

    async def _saved_now(self) -> bool:
        async with self._saving:
            position = self.tracker.position
            if position is None or position == self._saved:
                return True
            try:
                await self._save(position)
            except StoreUnavailable as error:
                self._tell(str(error))
                return False
            self._saved, self._disk_hangs = position, False
            self._report("")
            return True

    def _tell(self, trouble: str) -> None:
        self._report(
            f"How far the processor has come cannot be saved, trying again: {trouble}. "
            "Until then a restart repeats more records than those of one fragment."
        )
