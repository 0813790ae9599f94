"""Transactions on one database file.

Knows no tables; each store brings its own MetaData. Its settings are settings/'s, its
failures failures.py's, its schema's history revisions.py's.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, TypeVar

from sqlalchemy import URL, MetaData, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from streamproc.aio import carried_through, of_its_own
from streamproc.db.commits import Commits
from streamproc.db.failures import BUSY_TIMEOUT_S, store_failures
from streamproc.db.remnants import LogLife, pages_with_remnants, read_log, wipe
from streamproc.db.revisions import Revisions, copies, prepare
from streamproc.db.settings import WAL_BYTES_MAX, apply_pragmas, beside
from streamproc.db.writer import GroupCommit, Work
from streamproc.errors import StoreDamaged, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

FORGET_S_MAX: Final = 30.0
"""A caller of forget() waits no longer for readers; it goes on without the caller."""

_CHECKPOINT_BUSY_MS: Final = 250  # writers wait meanwhile
_PAUSE_S: Final = 0.05


class Database:
    """Writers queue here, in order, not inside SQLite.

    Whatever is done with it raises StoreUnavailable where the disk refuses (nothing of the
    transaction is kept, and a later one may succeed), StoreDamaged where the file is broken.
    """

    def __init__(self, engine: AsyncEngine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._writing = asyncio.Lock()
        self._group = GroupCommit(path, self._turn)
        self._wal_bytes_max = WAL_BYTES_MAX
        self._commits = Commits(path)
        self._file: BinaryIO | None = None  # beside SQLite's own; see pages_with_remnants()
        self._owed = self._paid = 0  # calls of forget(), and those that what is done has served
        self._forgetting: asyncio.Task[None] | None = None
        self._wiping_failed = False  # zeros may be in the file that are not on disk
        self._clean_before: LogLife | None = (
            None  # without remnants when this life of the log began
        )

    @classmethod
    async def open_file(
        cls, path: Path, metadata: MetaData, revisions: Revisions | None = None
    ) -> Self:
        """Open a SQLite file, made or upgraded as needed; its folder must exist.

        Raises StoreDamaged, StoreUnavailable.
        """
        await asyncio.to_thread(prepare, path, metadata, revisions)
        engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(path)))
        event.listen(engine.sync_engine, "connect", apply_pragmas)
        event.listen(engine.sync_engine, "invalidate", _roll_back)
        return cls(engine, path)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: on disk when the block is left, undone if it raises."""
        async with self._turn():
            with store_failures(str(self._path)):
                async with self._engine.begin() as connection:
                    yield connection

    async def transact(self, work: Work[T], committed: Callable[[T], None] = lambda _: None) -> T:
        """What work returns, once it is on disk. For what is written many times a second: a
        fraction of the cost of write(), and callers who wait at the same time share a commit,
        in the order they came.

        Whoever is cancelled before its turn is left out; after that it is carried through.
        committed is called on the loop with what is on disk, whether or not its caller is there;
        it must not raise.
        """
        return await self._group.join(work, committed)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Never waits for a writer. Each statement sees one moment, two may see two."""
        with store_failures(str(self._path)):
            async with self._engine.connect() as connection:
                yield connection

    def stamp(self) -> tuple[int, ...]:
        """Another one after every commit, whoever made it: what was read with this one in hand is
        good until then. Microseconds, where a statement takes a thread and a millisecond."""
        return self._commits.stamp()

    async def forget(self) -> None:
        """Return once nothing that was deleted is in any file of this database.

        Deleted rows are zeros in the newest pages (secure_delete). What is left are older pages
        in the database file and in the write-ahead log, until a checkpoint has copied and cut
        the log, older places of the rows within pages (remnants.py), and the copies that
        upgrades made. A reader of an older moment keeps the log from being cut: it is waited
        for, FORGET_S_MAX at most; then this is logged and goes on beside. If the database is
        closed before the reader ends, the log is cut by whoever closes it last, or by the next
        daemon; older places within pages then stay until the next call.

        What this costs follows what was written since the last call; the first call, and one
        after so much that SQLite began its log anew (about 4 MB), looks at the whole file.
        """
        self._owed += 1
        if self._forgetting is None or self._forgetting.done():
            self._forgetting = of_its_own(self._forget())
        await asyncio.wait({self._forgetting}, timeout=FORGET_S_MAX)
        if not self._forgetting.done():
            log.warning(
                "what was deleted from %s is not overwritten yet, as something has read the file "
                "for over %.0f s; it will be as soon as that ends",
                self._path, FORGET_S_MAX,
            )  # fmt: skip
        elif not self._forgetting.cancelled():
            self._forgetting.result()  # a failure that no retry heals is the caller's

    async def close(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.wait({self._forgetting})
        await self._group.close()
        self._commits.close()
        # The connection that closes last copies the log into the file, and deletes it.
        await self._engine.dispose()
        if self._file is not None:
            self._file.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._writing:
            yield
            try:
                await self._bound_wal()
            except Exception:  # what was done is on disk, and nobody shall hear otherwise
                log.warning("the log of %s could not be cut", self._path, exc_info=True)

    async def _forget(self) -> None:
        told = ""
        while self._paid < self._owed:
            owed = self._owed  # what they deleted is in the log that is cut now
            try:
                await asyncio.to_thread(self._remove_copies)
                async with self._writing:
                    if await self._erase():
                        self._paid = owed
                        continue
            except (StoreUnavailable, StoreDamaged, OSError) as error:
                if str(error) != told:
                    told = str(error)
                    log.warning(
                        "what was deleted from %s is not overwritten yet: %s", self._path, told
                    )
                await asyncio.sleep(_PAUSE_S * 20)
            await asyncio.sleep(_PAUSE_S)

    def _remove_copies(self) -> None:
        for copy in copies(self._path):
            log.info("removing %s, which may hold what has been deleted", copy)
            copy.unlink(missing_ok=True)

    async def _cut_log(self) -> bool:
        """Copy the write-ahead log into the file and cut it to nothing, unless a reader needs
        it: https://www.sqlite.org/pragma.html#pragma_wal_checkpoint."""
        with store_failures(str(self._path)):
            async with self._engine.connect() as connection:
                await connection.exec_driver_sql(f"PRAGMA busy_timeout={_CHECKPOINT_BUSY_MS}")
                try:
                    done = await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                    is_busy = bool(done.scalar_one())
                finally:
                    usual_ms = round(BUSY_TIMEOUT_S * 1000)
                    await connection.exec_driver_sql(f"PRAGMA busy_timeout={usual_ms}")
        return not is_busy

    async def _erase(self) -> bool:
        """Leave only rows in the file; False while a reader is in the way."""
        life, pages = await asyncio.to_thread(read_log, beside(self._path, "-wal"))
        if not await self._cut_log():
            return False
        # Only what the log has carried can have changed, if it carried all there was since.
        known = life is not None and life == self._clean_before
        if self._file is None:
            self._file = self._path.open("r+b", buffering=0)
        found = await asyncio.to_thread(pages_with_remnants, self._file, pages if known else None)
        self._clean_before = life.next if life is not None else None
        if found or self._wiping_failed:
            self._clean_before = None
            self._wiping_failed = True  # until it is known to be on disk, and read by everybody
            # Nobody writes or closes the file meanwhile, whoever gives up.
            if not await carried_through(self._wipe, self._file, found):
                return False
            self._wiping_failed = False
            self._clean_before, _ = await asyncio.to_thread(read_log, beside(self._path, "-wal"))
        return True

    def _wipe(self, file: BinaryIO, pages: Collection[int]) -> bool:
        """Overwrite remnants; False if another process has written meanwhile."""
        with (
            store_failures(str(self._path)),
            closing(sqlite3.connect(self._path, isolation_level=None)) as connection,
        ):
            apply_pragmas(connection)
            connection.execute("BEGIN IMMEDIATE")
            if _size(beside(self._path, "-wal")):
                return False
            wipe(file, pages)
            # A commit, of what it was: nobody writes a page again from a memory of its remnant.
            [version] = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version={version}")
            connection.execute("COMMIT")
        return True

    async def _bound_wal(self) -> None:
        """Readers that follow one another without a gap would let the log grow for ever."""
        size = _size(beside(self._path, "-wal"))
        if size <= self._wal_bytes_max:
            return
        is_cut = False
        with contextlib.suppress(StoreUnavailable, StoreDamaged):  # the transaction is on disk
            is_cut = await self._cut_log()
        # A reader in the way is not waited for at every transaction.
        self._wal_bytes_max = WAL_BYTES_MAX if is_cut else size + WAL_BYTES_MAX


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _roll_back(connection: Any, _record: Any, _error: BaseException | None) -> None:
    # SQLAlchemy closes the connection of a cancelled statement. Python's sqlite3 leaves it
    # open underneath while a cursor lives, and with it the lock that every writer needs.
    connection.rollback()
