"""A change of state that no caller waits for, made however long the disk refuses it.

Knows StoreUnavailable and patience; what is changed, and where, its caller knows.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StoreUnavailable
from streamproc.processor.ports import Report
from streamproc.processor.scopes import abandoned_when

log = logging.getLogger(__name__)


async def insist(
    change: Callable[[], Awaitable[None]],
    *,
    name: str,
    report: Report,
    clock: Clock,
    roll: Callable[[], float],
    closing: asyncio.Event,
    message: str = "",
) -> None:
    """Make the change, again and again; message, if any, is told together with the trouble.

    Ends without it only when the daemon closes: what is on disk then leads to a restart. Raises
    what else the change raises, such as StoreDamaged.
    """
    for attempt in itertools.count():
        try:
            await change()
        except StoreUnavailable as error:
            if attempt == 0:
                log.error("processor %s: its state is not saved: %s", name, error)
            report(f"{message} Its state cannot be saved, trying again: {error}".lstrip())
        else:
            report("")
            return
        async with abandoned_when(closing.wait()) as end:
            await clock.sleep(backoff_seconds(attempt, base_s=0.5, roll=roll))
        if end.expired():
            return
