"""A caller that leaves in the middle of a transaction keeps no lock behind."""

import asyncio
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, insert, select, update

from streamproc.db import Database

METADATA = MetaData()
COUNTER = Table("counter", METADATA, Column("key", Integer, primary_key=True), Column("n", Integer))


async def test_a_cancelled_write_does_not_lock_the_next_one_out(tmp_path: Path) -> None:
    database = await Database.open_file(tmp_path / "counter.sqlite", METADATA)
    async with database.write() as connection:
        await connection.execute(insert(COUNTER).values(key=1, n=0))

    async def count() -> None:
        async with database.write() as connection:
            more = update(COUNTER).values(n=COUNTER.c.n + 1)
            await connection.scalar(more.returning(COUNTER.c.n))
            await connection.execute(more)

    for attempt in range(30):
        counting = asyncio.create_task(count())
        await asyncio.sleep(attempt * 0.0002)  # cut at ever later moments
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        await asyncio.wait_for(count(), 2)  # SQLite itself gives up after five seconds
    async with database.read() as connection:
        total = await connection.scalar(select(COUNTER.c.n))
    assert isinstance(total, int)
    assert total % 2 == 0, "half a transaction was kept"
    assert total >= 60
    await database.close()
