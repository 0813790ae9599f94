"""The audit log as the daemon uses it: await record(), and the line is written.

Lines of callers who come at once are written together, on a thread of their own. What is
written survives the end of the process at once; what is durable survives a power cut when
record() returns, the rest a second later. Callers wait for their line, so what is held is
bounded by their number. Knows nothing of what the events mean.
"""

import asyncio
import logging
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

from streamproc.aio import Worker, of_its_own, settle
from streamproc.audit.folder import LogFolder
from streamproc.audit.line import Entry
from streamproc.clock import Clock
from streamproc.errors import AuditBroken, StoreUnavailable

log = logging.getLogger(__name__)

SYNC_S: Final = 1.0
RETRY_S: Final = 1.0
TROUBLE_S: Final = 60.0


class Audit(Protocol):
    """Where those who do things with faces write it down."""

    @property
    def trouble(self) -> str:
        """Why the line that was tried last could not be written; "" if it was, or if that is
        more than TROUBLE_S ago."""
        ...

    async def record(
        self, who: str, event: str, details: Mapping[str, Any], *, durable: bool = True
    ) -> None:
        """Return with the line in the log; durable: and on disk.

        Raises StoreUnavailable where it cannot be written just now, AuditBroken where the log
        is not as it was left. The line may then be there all the same.
        """
        ...

    async def insist(
        self,
        who: str,
        event: str,
        details: Mapping[str, Any],
        report: Callable[[str], None],
        *,
        durable: bool = False,
    ) -> None:
        """As record, for who can wait: tries until it is written, and reports what is wrong
        meanwhile, "" when it is well. A line that was tried again may be there twice."""
        ...

    async def aclose(self) -> None: ...


class NoAudit:
    """Implements Audit where nothing is to be kept."""

    trouble = ""

    async def record(
        self, who: str, event: str, details: Mapping[str, Any], *, durable: bool = True
    ) -> None:
        pass

    async def insist(
        self,
        who: str,
        event: str,
        details: Mapping[str, Any],
        report: Callable[[str], None],
        *,
        durable: bool = False,
    ) -> None:
        pass

    async def aclose(self) -> None:
        pass


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    entry: Entry
    durable: bool
    written: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class AuditLog:
    """Implements Audit. Built by open(), left by aclose()."""

    def __init__(self, folder: LogFolder, clock: Clock) -> None:
        self._trouble, self._troubled_at = "", 0.0  # monotonic
        self._folder = folder
        self._clock = clock
        self._thread = Worker("audit")
        self._waiting: list[_Waiting] = []
        self._is_writing = False  # or about to
        self._syncing: asyncio.Task[None] | None = None
        self._is_behind = False  # the disk, or the head

    @property
    def trouble(self) -> str:
        # Who is kept away by it makes no further attempt, and would never see it heal.
        is_recent = self._clock.monotonic() - self._troubled_at < TROUBLE_S
        return self._trouble if is_recent else ""

    @classmethod
    async def open(cls, folder: Path, clock: Clock) -> Self:
        """Make the folder, or go on with what is in it. Raises StoreUnavailable, AuditBroken."""
        audit = cls(LogFolder(folder), clock)
        try:
            await audit._thread.run(audit._folder.create)
        except BaseException:
            audit._thread.stop()
            raise
        return audit

    async def aclose(self) -> None:
        """Write what waits, and bring it to disk."""
        while self._is_writing:
            await self._thread.run(lambda: None)  # behind what is being written
        if self._syncing is not None:
            self._syncing.cancel()
            await asyncio.gather(self._syncing, return_exceptions=True)
        try:
            await self._thread.run(self._folder.sync)
        except (StoreUnavailable, AuditBroken) as error:
            log.error("%s", error)
        self._thread.stop()

    async def record(
        self, who: str, event: str, details: Mapping[str, Any], *, durable: bool = True
    ) -> None:
        waiting = _Waiting(Entry(self._clock.now(), who, event, details), durable)
        self._waiting.append(waiting)
        if not self._is_writing:
            self._is_writing = True
            asyncio.get_running_loop().call_soon(self._write)  # with those who come meanwhile
        await waiting.written

    async def insist(
        self,
        who: str,
        event: str,
        details: Mapping[str, Any],
        report: Callable[[str], None],
        *,
        durable: bool = False,
    ) -> None:
        told = ""
        while True:
            try:
                await self.record(who, event, details, durable=durable)
            except (StoreUnavailable, AuditBroken) as error:
                if str(error) != told:
                    log.error("%s waits for its audit line: %s", who, error)
                    told = str(error)
                    report(f"Waiting, nothing is lost: {told}.")
                await self._clock.sleep(RETRY_S)
            else:
                if told:
                    report("")
                return

    def _write(self) -> None:
        """Begin with all who wait. By callbacks, not in a task of a caller's: one who gives up must
        not undo the lines of the others."""
        group, self._waiting = self._waiting, []
        sync = any(waiting.durable for waiting in group)
        entries = [waiting.entry for waiting in group]
        written = partial(self._written, group)
        try:
            self._thread.begin(partial(_append, self._folder, entries, sync), written)
        except RuntimeError as error:  # closed already, or no thread is to be had
            written(None, error)

    def _written(
        self,
        group: Sequence[_Waiting],
        outcomes: Sequence[BaseException | None] | None,
        error: BaseException | None,
    ) -> None:
        if outcomes is None:  # the next is another attempt
            outcomes = [error] * len(group)
        self._trouble = "" if error is None else str(error)
        self._troubled_at = self._clock.monotonic()
        for waiting, outcome in zip(group, outcomes, strict=True):
            settle(waiting.written, None, outcome)
        if not all(outcomes):
            self._is_behind = True
            if self._syncing is None or self._syncing.done():
                self._syncing = of_its_own(self._sync_soon())
        if self._waiting:
            self._write()
        else:
            self._is_writing = False

    async def _sync_soon(self) -> None:
        """Bring to disk, within a second, what is not there yet; then the head."""
        told = ""
        while self._is_behind:
            await self._clock.sleep(SYNC_S)
            self._is_behind = False
            try:
                await self._thread.run(self._folder.sync)
            except (StoreUnavailable, AuditBroken) as error:
                self._is_behind = True
                if str(error) != told:
                    told = str(error)
                    log.error("audit lines are not safe from a power cut: %s", error)


def _append(folder: LogFolder, entries: Sequence[Entry], sync: bool) -> Sequence[Exception | None]:
    """What was wrong with each. Raises what was wrong with the folder."""
    try:
        folder.append(entries, sync=sync)
    except (ValueError, TypeError) as error:  # it is no JSON, or too long
        if len(entries) == 1:
            return [error]
        # Its caller's mistake alone: the others are written.
        return [outcome for entry in entries for outcome in _append(folder, [entry], sync)]
    return [None] * len(entries)


async def open_audit(folder: Path, clock: Clock, *, enabled: bool = True) -> Audit:
    """The log of a data folder, in its audit/. Raises StoreUnavailable, AuditBroken."""
    return await AuditLog.open(folder / "audit", clock) if enabled else NoAudit()


def operator(command: str) -> str:
    """Who acts through a command: by their account on this machine, root as root."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as an account that has no name
        name = str(os.getuid())
    return f"streamproc {command}, {name}"


def record_now(data_dir: Path, who: str, event: str, details: Mapping[str, Any], at: float) -> None:
    """One durable line, for a command: beside a running daemon or without one. at: seconds
    since the epoch.

    Raises StoreUnavailable, AuditBroken. Blocks.
    """
    folder = LogFolder(data_dir / "audit")
    folder.create()
    folder.append([Entry(at, who, event, details)], sync=True)
    folder.sync()
