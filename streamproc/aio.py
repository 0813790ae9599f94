"""Small asyncio tools that the standard library lacks. Knows nothing of media or AWS."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

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
