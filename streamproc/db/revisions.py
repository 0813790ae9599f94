"""Which schema a database file has, which one it should have, and the copy kept in between.

A new file is made at the head of the history at once. A file that has our tables but no
alembic_version is older than the history: it goes through every revision, and r0001 therefore
creates only what is missing (if_not_exists=True). All revisions that a file lacks are applied
in one transaction. alembic itself is upgrade.py's, imported only where there is something to
upgrade.

A script may do anything that SQLite does in a transaction: op.add_column, op.execute,
op.batch_alter_table. Foreign keys are off while it runs and checked before the commit. It uses
no code of the stores, which goes on changing.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from streamproc.db.failures import damaged, store_failures, unavailable
from streamproc.db.settings import apply_pragmas, beside, make_private
from streamproc.errors import StoreDamaged

VERSION_TABLE = "alembic_version"
_COPY = ".before-"


@dataclass(frozen=True, slots=True)
class Revisions:
    """A linear history: the scripts of a folder, named r<4 digits>_<what>.py."""

    folder: Path

    @property
    def names(self) -> list[str]:
        """ "0001" and its successors, oldest first."""
        return sorted(script.stem[1:5] for script in self.folder.glob("r[0-9]*.py"))

    @property
    def head(self) -> str:
        return self.names[-1]


def prepare(path: Path, metadata: MetaData, revisions: Revisions | None = None) -> None:
    """Bring a file to the schema of metadata: made, left as it is, or upgraded. Blocks.

    Raises StoreDamaged if it cannot be read or is of a later history, StoreUnavailable where
    the disk refuses. An upgrade that fails leaves the file as it was.
    """
    try:
        make_private(path)
        with store_failures(str(path)):
            if revisions is None:
                with closing_engine(path) as engine, engine.begin() as connection:
                    metadata.create_all(connection)
            else:
                _follow(path, metadata, revisions)
    except DatabaseError as error:
        raise damaged(str(path), str(error.orig)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise unavailable(str(path), reason, "see to its folder's permissions and space") from None


def _follow(path: Path, metadata: MetaData, revisions: Revisions) -> None:
    with closing_engine(path) as engine, engine.begin() as connection:
        tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
        revision = _revision(connection) if VERSION_TABLE in tables else None
        if revision is None and not tables & metadata.tables.keys():
            metadata.create_all(connection)
            _stamp(connection, revisions.head)
            return
    if revision == revisions.head:
        return
    if revision is not None and revision not in revisions.names:
        raise StoreDamaged(
            f"the database {path} has schema {revision}, and this streamproc knows those up to "
            f"{revisions.head}: it was made by a newer one. Run that version, or restore a backup "
            "made by this one (streamproc restore)"
        )
    from streamproc.db.upgrade import upgrade  # alembic takes a while to import

    copy = None
    if revision is not None or len(revisions.names) > 1:  # else there is nothing but to stamp it
        copy = _copied(path, revisions.head)
    upgrade(path, revisions, revision, copy)
    for old in copies(path):
        if old != copy:
            old.unlink(missing_ok=True)


def copies(path: Path) -> list[Path]:
    """What upgrades have left beside a database: it as it was before the last of them."""
    return sorted(path.parent.glob(f"{path.name}{_COPY}*"))


def closing_engine(path: Path, *, foreign_keys: bool = True) -> "_ClosingEngine":
    return _ClosingEngine(path, foreign_keys)


class _ClosingEngine:
    """An engine for one block. Its transactions hold DDL too, and the write lock at once."""

    def __init__(self, path: Path, foreign_keys: bool) -> None:
        self._engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        self._foreign_keys = foreign_keys
        event.listen(self._engine, "connect", self._connected)
        event.listen(self._engine, "begin", _begin)

    def __enter__(self) -> Engine:
        return self._engine

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def _connected(self, connection: sqlite3.Connection, record: object) -> None:
        # Python's own transactions would begin behind the first DDL.
        connection.isolation_level = None
        apply_pragmas(connection, record)
        if not self._foreign_keys:
            connection.execute("PRAGMA foreign_keys=OFF")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _revision(connection: Connection) -> str | None:
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")
    revision: str | None = found.scalar()
    return revision


def _stamp(connection: Connection, revision: str) -> None:
    # As alembic makes it.
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
        f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES (?)", (revision,))


def _copied(path: Path, head: str) -> Path:
    """The whole file, its write-ahead log included, complete as soon as it has its name."""
    copy = beside(path, f"{_COPY}{head}")
    draft = beside(path, ".copying")
    draft.unlink(missing_ok=True)
    try:
        make_private(draft)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        draft.replace(copy)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return copy
