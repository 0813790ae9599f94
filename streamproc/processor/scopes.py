"""A block of code that is left early when something else happens first.

Unlike work put into a second task, what the block opens belongs to the task that closes it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def abandoned_when(condition: Coroutine[Any, Any, object]) -> AsyncIterator[asyncio.Timeout]:
    """Cancel the block once the condition returns, and go on behind it.

    The yielded scope's expired() tells whether that happened. A deadline on a clock that can
    be handed in is abandoned_when(clock.sleep(seconds)).
    """
    left = False
    watcher = asyncio.ensure_future(condition)
    try:
        async with asyncio.timeout(None) as scope:

            def cancel_block(_: object) -> None:
                if not left:
                    scope.reschedule(0.0)

            watcher.add_done_callback(cancel_block)
            try:
                yield scope
            finally:
                left = True
    except TimeoutError:
        if not scope.expired():
            raise
    finally:
        watcher.cancel()
