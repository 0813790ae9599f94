"""Whether anybody has committed to a database file: how long what was read from it is good.

Knows no table and reads none. SQLite counts for each connection the commits that others have made
(https://www.sqlite.org/pragma.html#pragma_data_version), so one that never writes sees them all:
those of this process and of others, however close together, which the times of files do not tell.
"""

import sqlite3
from pathlib import Path


class Commits:
    """For one thread; microseconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def stamp(self) -> tuple[int, ...]:
        """Another one after every commit, and wherever the file cannot be asked."""
        try:
            if self._connection is None:
                self._opened += 1
                self._connection = sqlite3.connect(self._path, timeout=0)
            [version] = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # whoever reads on hears of it in words
            self.close()
            return (self._opened,)
        return self._opened, version

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
