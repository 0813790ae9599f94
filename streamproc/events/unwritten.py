"""What is to be told of one processor and is not on disk yet: it waits in order, and is told once.

Knows the log, and what happens when the disk does not take something; decides nothing about who
is who.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.events.log import EventLog
from streamproc.events.schema import Draft, Standing

log = logging.getLogger(__name__)

_BACKOFF_S: Final = 0.25  # before the second attempt at most, then twice that, and so on


class Unwritten:
    """Of one processor, which stands as standing says when something is written."""

    def __init__(
        self,
        events: EventLog,
        standing: Callable[[], Standing],
        gone: Callable[[], None],
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        """gone: called when a processor that is deleted is on disk no more."""
        self._events = events
        self._standing = standing
        self._gone = gone
        self._clock = clock
        self._roll = roll
        self._drafts: list[Draft] = []
        self._lock = asyncio.Lock()  # held while drafts are on their way to the disk
        self._insisting = 0
        self._writing: set[asyncio.Task[None]] = set()
        self.is_deleted = False  # the processor, with what is told of it last

    def __len__(self) -> int:
        return len(self._drafts)

    @property
    def is_held_up(self) -> bool:
        """Whether somebody waits for the disk."""
        return self._insisting > 0 or self._lock.locked()

    def add(self, drafts: Iterable[Draft]) -> None:
        self._drafts += drafts

    async def insist(self, report: Callable[[str], None]) -> None:
        """Return when everything is on disk, however long that takes; report is told why it takes
        long, and "" once that is over. What a log that is damaged does not take is lost."""
        attempt = 0
        self._insisting += 1
        try:
            while not await self._tried(report, attempt):
                await self._clock.sleep(
                    backoff_seconds(attempt, base_s=_BACKOFF_S, roll=self._roll)
                )
                attempt += 1
        finally:
            self._insisting -= 1

    async def _tried(self, report: Callable[[str], None], attempt: int) -> bool:
        """Whether that was the last attempt."""
        try:
            await self.flush()
        except StoreUnavailable as error:
            if attempt == 0:
                log.error("events wait: %s", error)
            report(f"Its events cannot be saved, trying again: {error}")
            return False
        except StoreDamaged as error:
            # Recognition is worth more than its events: records go on.
            log.error("events are lost: %s", error)
            report(f"Its events are lost: {error}")
            async with self._lock:
                self._drafts.clear()
            return True
        if attempt:
            report("")
        return True

    async def flush(self) -> None:
        """Bring to disk what waits, in order, and how the processor stands. Raises
        StoreUnavailable, StoreDamaged, and then it still waits.

        A task of its own does it: who gives up waiting would not know what was told, and tell it
        twice.
        """
        task = asyncio.create_task(self._write())
        self._writing.add(task)
        task.add_done_callback(self._written)
        await asyncio.shield(task)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # it is the caller's, if that still waits

    async def _write(self) -> None:
        async with self._lock:
            count = len(self._drafts)
            standing = self._standing()
            await self._events.append(self._drafts[:count], standing)
            del self._drafts[:count]
            if self.is_deleted and not self._drafts:
                await self._events.forget_processor(standing.key)
                if self.is_deleted:  # else one of its name was created meanwhile
                    self._gone()
