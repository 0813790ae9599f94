"""Whether the daemon is well: named checks, asked when somebody wants to know.

One list for all who ask: /readyz, DescribeStreamproc, the metrics. Knows how checks are asked
and told; what they look at is for those who add them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from streamproc.errors import StreamprocError

Examine: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns "" if all is well, else what is wrong, in a person's words with the remedy. Quick; what
it raises is taken for what is wrong."""

TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One answer."""

    name: str
    ok: bool
    message: str  # what is wrong and what mends it; "" if ok
    vital: bool  # whether the daemon cannot serve without it


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    examine: Examine
    vital: bool


class Health:
    """Checks by name, in the order in which they were added."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """timeout_s: a check without an answer by then counts as failed."""
        self._began = time.monotonic()
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Future[str]] = {}  # those without an answer yet
        self._timeout_s = timeout_s

    def add(self, name: str, examine: Examine, *, vital: bool = False) -> None:
        """vital: the daemon is not ready while this fails. Raises ValueError for a name that is
        taken."""
        if name in self._known:
            raise ValueError(f"there is a check {name} already")
        self._known[name] = _Known(name, examine, vital)

    @property
    def uptime_s(self) -> float:
        """Since it was made, which is when the daemon begins."""
        return time.monotonic() - self._began

    async def checks(self) -> list[Check]:
        """Every check, asked now, all at once."""
        return list(await asyncio.gather(*map(self._asked, self._known.values())))

    async def _asked(self, known: _Known) -> Check:
        try:
            message = await self._answer(known)
        except StreamprocError as error:
            message = str(error)
        except Exception as error:  # a check that breaks is a finding, not the end of the others
            message = f"cannot be told ({type(error).__name__}: {error})"
        return Check(known.name, not message, message, known.vital)

    async def _answer(self, known: _Known) -> str:
        """Of everybody who asks at once, and of those who come while a disk hangs, one asks."""
        asking = self._asking.get(known.name)
        if asking is None:
            found = known.examine()
            if isinstance(found, str):
                return found
            asking = self._asking[known.name] = asyncio.ensure_future(found)
            asking.add_done_callback(partial(self._answered, known.name))
        done, _ = await asyncio.wait({asking}, timeout=self._timeout_s)
        if done:
            return asking.result()
        return f"no answer within {self._timeout_s:g} s; the disk or the daemon is overloaded"

    def _answered(self, name: str, asking: asyncio.Future[str]) -> None:
        del self._asking[name]
        if not asking.cancelled():
            asking.exception()  # whoever still waits hears of it


def failing(checks: Sequence[Check], *, vital: bool = False) -> list[Check]:
    """Those that are not well; vital: only those without which the daemon cannot serve."""
    return [check for check in checks if not check.ok and (check.vital or not vital)]
