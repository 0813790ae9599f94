"""How we use SQLite: what its documentation asks for the promises that the stores make.

Every connection gets these, in the event loop or beside it.
"""

import os
from pathlib import Path
from typing import Any, Final

from streamproc.db.failures import BUSY_TIMEOUT_S

WAL_BYTES_MAX: Final = 64 * 1024 * 1024
"""A write-ahead log that has grown beyond this is brought back to nothing."""

PRAGMAS: Final = (
    "journal_mode=WAL",  # readers never wait for a writer, nor it for them
    # A transaction that returned is on disk: https://www.sqlite.org/pragma.html#pragma_synchronous
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={round(BUSY_TIMEOUT_S * 1000)}",
    "secure_delete=ON",  # what is deleted is overwritten with zeros, free pages too
    f"journal_size_limit={WAL_BYTES_MAX}",
    "temp_store=MEMORY",  # no row in a temporary file elsewhere
)


def apply_pragmas(connection: Any, _record: object = None) -> None:
    """connection is of the DB API."""
    cursor = connection.cursor()
    try:
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def make_private(path: Path) -> None:
    """Make the file if it is missing; only its owner reads it. SQLite gives -wal and -shm the
    mode of the file itself."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for file in (path, beside(path, "-wal"), beside(path, "-shm")):
        if file.exists() and file.stat().st_mode & 0o077:
            file.chmod(0o600)


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
