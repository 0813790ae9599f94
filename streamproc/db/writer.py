"""Small transactions on one SQLite file: who comes while a commit is under way shares the next.

A commit costs a flush of the disk whatever it carries, so sharing it is what makes many small
changes a second possible. And a change is one hop to the writing thread and back, however many
statements it has. Knows transactions and who waits for them; knows no tables.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Delete, Insert, Update
from sqlalchemy.dialects import sqlite

from streamproc.aio import Worker, of_its_own
from streamproc.db.failures import store_failures
from streamproc.db.settings import apply_pragmas

T = TypeVar("T")

Work: TypeAlias = Callable[[sqlite3.Connection], T]
"""The statements of one change, for the writing thread. What it raises undoes this change and no
other. It neither commits nor rolls back, and leaves no cursor half read."""

Outcome: TypeAlias = tuple[Any, Exception | None]
"""What a work returned, or what it raised."""


def compiled(statement: Insert | Update | Delete) -> str:
    """Its SQL, with parameters by name (:position): made once, not at each execution. Values are
    bound as they are, so it is not for columns of types that SQLAlchemy converts (JSON)."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))


class Writer:
    """The connection that works are run on. Blocking; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def commit(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        """One transaction, on disk when this returns.

        Raises StoreUnavailable, StoreDamaged: nothing of any of them was kept.
        """
        with store_failures(str(self._path)):
            connection = self._opened()
            try:
                connection.execute("BEGIN IMMEDIATE")
                outcomes = [self._run(work, connection) for work in works]
                connection.execute("COMMIT")
            except BaseException:
                self.close()  # undoes it, whatever state it is in
                raise
        return outcomes

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, work: Work[Any], connection: sqlite3.Connection) -> Outcome:
        connection.execute("SAVEPOINT work")
        result, failure = None, None
        try:
            with store_failures(str(self._path)):
                result = work(connection)
        except Exception as error:
            if not connection.in_transaction:
                # Some errors undo all of it: https://www.sqlite.org/lang_transaction.html
                raise
            connection.execute("ROLLBACK TO work")
            failure = error
        connection.execute("RELEASE work")
        return result, failure

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            # Python's own transactions would begin behind the first statement.
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                apply_pragmas(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    work: Work[Any]
    committed: Callable[[Any], None]
    done: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GroupCommit:
    """Runs works in the order they come, on a thread of its own. turn keeps other writers of the
    file away meanwhile."""

    def __init__(self, path: Path, turn: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._writer = Writer(path)
        self._turn = turn
        self._thread = Worker(f"write {path.name}")
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None

    async def join(self, work: Work[T], committed: Callable[[T], None]) -> T:
        waiting = _Waiting(work, committed)
        self._waiting.append(waiting)
        if self._committing is None or self._committing.done():
            # A task of its own: a caller who gives up must not undo the work of the others.
            self._committing = of_its_own(self._commit_all())
        outcome: T = await waiting.done
        return outcome

    async def close(self) -> None:
        """Return once what waits is on disk and the file closed."""
        if self._committing is not None:
            await self._committing
        self._thread.stop()
        await asyncio.to_thread(self._writer.close)

    async def _commit_all(self) -> None:
        while self._waiting:
            group: list[_Waiting] = []
            outcomes: list[Outcome]
            try:
                async with self._turn():
                    came, self._waiting = self._waiting, []
                    group = [one for one in came if not one.done.done()]  # the rest have given up
                    works = [one.work for one in group]
                    outcomes = await self._thread.run(partial(self._writer.commit, works))
            except Exception as error:  # it belongs to those who wait; the next is another attempt
                outcomes = [(None, error)] * len(group)
            for one, (result, failure) in zip(group, outcomes, strict=True):
                if failure is None:
                    one.committed(result)
                if one.done.done():
                    continue
                if failure is None:
                    one.done.set_result(result)
                else:
                    one.done.set_exception(failure)
