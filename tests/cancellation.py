"""Cancellation at a chosen await: the same moments on every machine, quick or slow."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


async def cut_at(work: Coroutine[Any, Any, object], wait: int, *, late: bool) -> bool:
    """Run work and cancel it at its wait number `wait`, counted from 0.

    It is cut as soon as it waits or, if late, when what it waits for is done and it has not
    seen that yet. Whether it waited so often at all; if not, it was carried through.
    """
    cut = _Cut(work, wait, late)
    task = asyncio.create_task(_run(cut))
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return cut.reached


async def _run(cut: "_Cut") -> None:
    await cut


class _Cut:
    def __init__(self, work: Coroutine[Any, Any, object], wait: int, late: bool) -> None:
        self.reached = False
        self._work = work
        self._wait = wait
        self._late = late

    def __await__(self) -> Generator[Any, None, None]:
        task = asyncio.current_task()
        assert task is not None
        steps = self._work.__await__()
        step = partial(next, steps)
        waits = 0
        while True:
            try:
                future = step()
            except StopIteration:
                return
            if waits == self._wait:
                self.reached = True
                if self._late and future is not None:
                    future.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            waits += 1
            try:
                yield future
            except asyncio.CancelledError as error:
                step = partial(steps.throw, error)
            else:
                step = partial(next, steps)
