"""A caller that leaves in the middle of a transaction keeps no lock behind."""

import itertools
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, update

from streamproc.db import Database
from tests.cancellation import cut_at

METADATA = MetaData()
COUNTER = Table("counter", METADATA, Column("key", Integer, primary_key=True), Column("n", Integer))


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_write_does_not_lock_the_next_one_out(tmp_path: Path, late: bool) -> None:
    database = await Database.open_file(tmp_path / "counter.sqlite", METADATA)
    async with database.write() as connection:
        await connection.execute(insert(COUNTER).values(key=1, n=0))

    async def count() -> None:
        async with database.write() as connection:
            more = update(COUNTER).values(n=COUNTER.c.n + 1)
            await connection.scalar(more.returning(COUNTER.c.n))
            await connection.execute(more)

    for wait in itertools.count():
        if not await cut_at(count(), wait, late=late):
            break
        await count()  # where a lock is left behind, SQLite gives up with an error
    assert wait > 5
    async with database.read() as connection:
        total = await connection.scalar(select(COUNTER.c.n))
    assert isinstance(total, int)
    assert total % 2 == 0, "half a transaction was kept"
    assert total >= 2 * wait + 2
    await database.close()
