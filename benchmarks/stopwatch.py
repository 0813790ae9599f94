"""CPU seconds per part of a program, measured from inside by wrapping its methods by name.

Knows threads and nesting; knows nothing of what the parts are.
"""

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """CPU seconds per part, of the thread that runs it; nested parts count once, innermost."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._inner = threading.local()

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Time every call of this method, and every step if it is a generator.

        Raises AttributeError where the owner has no such method: a part that is measured nowhere
        would silently be counted as something else.
        """
        plain: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(plain)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.calls[part] += 1
            result = self._time(part, lambda: plain(*args, **kwargs))
            return self._steps(part, result) if hasattr(result, "__next__") else result

        setattr(owner, name, timed)

    def _steps(self, part: str, steps: Any) -> Any:
        done = object()
        while (item := self._time(part, lambda: next(steps, done))) is not done:
            yield item

    def _time(self, part: str, call: Callable[[], Any]) -> Any:
        outer, self._inner.cpu_s = getattr(self._inner, "cpu_s", 0.0), 0.0
        before = self._clock()
        try:
            return call()
        finally:
            spent = self._clock() - before
            with self._lock:
                self.cpu_s[part] += spent - self._inner.cpu_s
            self._inner.cpu_s = outer + spent
