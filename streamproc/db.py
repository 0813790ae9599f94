"""One SQL database: connections, transactions and what "written" means.

SQLite is the default. Its settings follow its documentation: write-ahead logging so that
readers never wait, and synchronous=FULL so that a transaction that returned is on disk
(https://www.sqlite.org/pragma.html#pragma_synchronous). Knows no tables; each store brings
its own MetaData.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, MetaData, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from streamproc.errors import StoreDamaged


class Database:
    """Transactions on one database. Writers queue here, in order, not inside SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, url: str | URL, metadata: MetaData) -> Self:
        """Open, and create what is missing. Raises StoreDamaged if it cannot be read."""
        engine = create_async_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine.sync_engine, "connect", _set_sqlite_pragmas)
            event.listen(engine.sync_engine, "invalidate", _roll_back)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
        except DatabaseError as error:
            await engine.dispose()
            raise StoreDamaged(
                f"the database {engine.url.database} cannot be read ({error.orig}); "
                "restore it from a backup, or move it away to start empty"
            ) from error
        return cls(engine)

    @classmethod
    async def open_file(cls, path: Path, metadata: MetaData) -> Self:
        """Open a SQLite file; its folder must exist."""
        return await cls.open(URL.create("sqlite+aiosqlite", database=str(path)), metadata)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: on disk when the block is left, undone if it raises."""
        async with self._writing, self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Never waits for a writer. Each statement sees one moment, two may see two."""
        async with self._engine.connect() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


def _set_sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=5000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Any, _record: Any, _error: BaseException | None) -> None:
    # SQLAlchemy closes the connection of a cancelled statement. Python's sqlite3 leaves it
    # open underneath while a cursor lives, and with it the lock that every writer needs.
    connection.rollback()
