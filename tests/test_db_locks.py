"""Who else opens a database file takes nothing from the daemon that works in it.

POSIX drops all locks of a process on a file when it closes any descriptor of it
(https://www.sqlite.org/howtocorrupt.html, section 2.2). Without them, whoever closes the file next
takes itself for its last user and deletes the write-ahead log under the daemon.
"""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, delete, insert

from streamproc.db import Database

METADATA = MetaData()
LETTERS = Table(
    "letters", METADATA, Column("key", Integer, primary_key=True), Column("text", LargeBinary)
)
READ = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM letters").fetchone()[0])
connection.close()
"""


def rows_seen_by_another_process(path: Path) -> int:
    reading = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=60, check=True
    )
    return int(reading.stdout)


async def test_what_comes_after_a_real_deletion_is_seen_by_everyone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    database = await Database.open_file(path, METADATA)
    try:
        async with database.write() as connection:
            await connection.execute(insert(LETTERS), [{"text": b"a" * 900} for _ in range(50)])
        async with database.write() as connection:
            await connection.execute(delete(LETTERS).where(LETTERS.c.key > 20))
        await database.forget()
        assert rows_seen_by_another_process(path) == 20  # a backup, say

        async with database.write() as connection:
            await connection.execute(insert(LETTERS), [{"text": b"b" * 900}])

        assert rows_seen_by_another_process(path) == 21
    finally:
        await database.close()
