"""Small asyncio tools that the standard library lacks. Knows nothing of media or AWS."""

import asyncio
import contextlib
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")


class LatestQueue(Generic[T]):
    """Bounded hand-off that drops the oldest item and counts it: live video is worth nothing
    late. One consumer."""

    def __init__(self, size_max: int) -> None:
        if size_max < 1:
            raise ValueError(f"size_max {size_max} must be at least 1")
        self._items: deque[T] = deque(maxlen=size_max)
        self._ready = asyncio.Event()
        self.dropped_total = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        if len(self._items) == self._items.maxlen:
            self.dropped_total += 1
        self._items.append(item)
        self._ready.set()

    async def get(self) -> T:
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()


Told: TypeAlias = Callable[[Any, BaseException | None], None]
"""Hears of work that was done elsewhere: what it returned, or what it raised."""


def settle(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Pass on how work ended, unless nobody waits for it any more."""
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def do_and_tell(loop: asyncio.AbstractEventLoop, work: Callable[[], Any], told: Told) -> None:
    """For a thread: do the work, and have told called on the loop. One callback, where
    loop.run_in_executor() takes two futures, a task's turn and three callbacks to come back."""
    result, failure = None, None
    try:
        result = work()
    except BaseException as error:  # who waits for it decides what it means
        failure = error
    try:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(told, result, failure)
    finally:
        del failure, work, told  # its traceback leads here: what the work was about would stay


class Worker:
    """A thread for blocking work, one piece after the other: an executor of one thread, at half
    the cost of the way there and back, which counts where the work itself takes microseconds.

    The thread begins with the first piece of work, and does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_begun = self._is_stopped = False

    async def run(self, work: Callable[[], T]) -> T:
        """What work returns, or raises. Who gives up waiting does not stop it."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.begin(work, partial(settle, done))
        try:
            return await done
        finally:
            del done, work  # a failure's traceback leads here, and they to it

    def begin(self, work: Callable[[], Any], told: Told) -> None:
        """told is called on this loop when the work has ended; it must not raise."""
        if self._is_stopped:
            raise RuntimeError(f"the thread {self._name} is stopped; nothing can be run on it")
        if not self._is_begun:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._is_begun = True
        self._jobs.put(partial(do_and_tell, asyncio.get_running_loop(), work, told))

    def stop(self) -> None:
        """What waits is still done, then the thread ends; nobody has to wait for that."""
        self._is_stopped = True
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # what it was about is not kept until the next


def of_its_own(work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """A task that outlives who began it, or serves others too: what the log says of them (the
    request's id, say) is not said of it."""
    return asyncio.create_task(work, name=name, context=Context())


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What work returns; it is done to its end even if who awaits it is cancelled. The cancellation
    is raised then. For what must not be left half done."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # what it came to shows at the next use
        raise cancelled
    return task.result()


async def carried_through(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What work returns, done on a thread to its end: a thread cannot be cancelled, and nobody may
    remove under it what it writes to. A cancellation that came meanwhile is raised then."""
    return await to_its_end(asyncio.to_thread(work, *args, **kwargs))


async def let_go(chunks: AsyncIterator[Any]) -> None:
    """Close an iterator that is not read to its end, if it is one that can be closed."""
    aclose = getattr(chunks, "aclose", None)
    if aclose is not None:
        await aclose()


def backoff_seconds(
    attempt: int,
    *,
    base_s: float = 0.1,
    cap_s: float = 5.0,
    roll: Callable[[], float] = random.random,
) -> float:
    """Exponential back-off with full jitter: between 0 and min(cap, base * 2**attempt).

    attempt counts from 0. Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    return min(cap_s, base_s * 2.0 ** min(attempt, 32)) * roll()
