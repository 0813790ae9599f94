"""What SQLite says in the middle of a run, as failures that a person can act on.

Only what the file or its disk does is translated; a broken constraint or a wrong statement
stays what it is, for the code that wrote it. Result codes: https://www.sqlite.org/rescode.html.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from streamproc.errors import StoreDamaged, StoreUnavailable

BUSY_TIMEOUT_S: Final = 5.0

_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED: Final = f"another process has held it for {BUSY_TIMEOUT_S:.0f} s; end that process"
_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "free space on its disk",
    sqlite3.SQLITE_IOERR: "free space on its disk; if there is room, the disk itself fails",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
    sqlite3.SQLITE_PERM: "make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: (
        "look at its folder's permissions, at free space, and at the limit of open files"
    ),
    sqlite3.SQLITE_NOMEM: "free memory",
}


@contextmanager
def store_failures(file: str) -> Iterator[None]:
    """Raises StoreDamaged or StoreUnavailable for what SQLite reports of this file or its disk;
    everything else passes.

    A transaction whose COMMIT met an I/O error is seen by nobody. But where the process dies
    before the next commit has taken its place in the log, the next start may find it whole:
    what is outside the database must be ready for both (SegmentFiles.abandon).
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        failure = _failure(error.orig if isinstance(error, DBAPIError) else error, file)
        if failure is None:
            raise
        raise failure from error
    except PoolTimeout as error:
        raise unavailable(
            file, "all connections are in use", "try again when less is going on"
        ) from error


def unavailable(file: str, reason: str, remedy: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the database {file} cannot be used just now ({reason}); {remedy}. Nothing of the change "
        "was kept; trying again is safe"
    )


def damaged(file: str, reason: str) -> StoreDamaged:
    return StoreDamaged(
        f"the database {file} cannot be read ({reason}); stop streamproc, then restore it from a "
        "backup (streamproc restore), or move it away to start empty"
    )


def _failure(error: BaseException | None, file: str) -> StoreDamaged | StoreUnavailable | None:
    # The low byte is the primary code, the rest says more of the same (SQLITE_IOERR_WRITE).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return damaged(file, str(error))
    if code in _REMEDIES:
        return unavailable(file, str(error), _REMEDIES[code])
    return None
