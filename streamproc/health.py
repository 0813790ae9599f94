"""Whether the daemon is well: named checks, asked when somebody wants to know.

One list for all who ask: /readyz, DescribeStreamproc, the metrics. Knows how checks, and what
else may hang as a disk does, are asked and told; what they look at is for those who add them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from streamproc.aio import of_its_own
from streamproc.disk import DiskView, disk_view
from streamproc.errors import StreamprocError

T = TypeVar("T")

Examine: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns "" if all is well, else what is wrong, in a person's words with the remedy. Quick; what
it raises is taken for what is wrong."""

TIMEOUT_S: Final = 2.0


class NoAnswer(StreamprocError):
    """Whoever was asked does not say it in time."""


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
        self._asking: dict[str, asyncio.Task[Any]] = {}  # those without an answer yet
        self._looking: asyncio.Task[list[Check]] | None = None
        self._timeout_s = timeout_s

    def add(self, name: str, examine: Examine, *, vital: bool = False) -> None:
        """vital: the daemon is not ready while this fails. Raises ValueError for a name that is
        taken."""
        if name in self._known:
            raise ValueError(f"there is a check {name} already")
        self._known[name] = _Known(name, examine, vital)
        self._looking = None  # it does not know this one

    @property
    def uptime_s(self) -> float:
        """Since it was made, which is when the daemon begins."""
        return time.monotonic() - self._began

    async def checks(self) -> list[Check]:
        """Every check, asked now, all at once; for all who want to know meanwhile, too."""
        if self._looking is None or self._looking.done():
            self._looking = of_its_own(self._looked())
        return list(await asyncio.shield(self._looking))

    async def ask(self, name: str, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer. Of everybody who asks this at once, and of those who come while a disk
        hangs, one asks: a thread that waits for a disk cannot be called back.

        name: the question's; the same name is the same question. Raises NoAnswer, and whatever
        the question raises.
        """
        asking: asyncio.Task[T] | None = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = of_its_own(question())
            asking.add_done_callback(partial(self._answered, name))
        done, _ = await asyncio.wait({asking}, timeout=self._timeout_s)
        if not done:
            raise NoAnswer(
                f"no answer within {self._timeout_s:g} s; the disk or the daemon is overloaded"
            )
        return asking.result()

    async def disk(self, folder: Path) -> DiskView:
        """How much room there is where the data folder is: one look for all who ask. Raises
        NoAnswer and OSError."""
        return await self.ask(f"disk {folder}", partial(asyncio.to_thread, disk_view, folder))

    async def _looked(self) -> list[Check]:
        return list(await asyncio.gather(*map(self._asked, self._known.values())))

    async def _asked(self, known: _Known) -> Check:
        try:
            message = await self.ask(f"check {known.name}", partial(_examined, known))
        except StreamprocError as error:
            message = str(error)
        except Exception as error:  # a check that breaks is a finding, not the end of the others
            message = f"cannot be told ({type(error).__name__}: {error})"
        return Check(known.name, not message, message, known.vital)

    def _answered(self, name: str, asking: asyncio.Task[Any]) -> None:
        del self._asking[name]
        if not asking.cancelled():
            asking.exception()  # whoever still waits hears of it


async def _examined(known: _Known) -> str:
    found = known.examine()
    return found if isinstance(found, str) else await found


def failing(checks: Sequence[Check], *, vital: bool = False) -> list[Check]:
    """Those that are not well; vital: only those without which the daemon cannot serve."""
    return [check for check in checks if not check.ok and (check.vital or not vital)]
