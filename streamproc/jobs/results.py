"""What jobs have found, on disk: items in the order in which they were found, and groups.

All of it is written while its job runs, in transactions so short that other writers get their
turn. Nobody sees it before the job's own row says SUCCEEDED, which is for the store to write.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ScalarSelect, and_, delete, func, insert, select, update

from streamproc.db import Database
from streamproc.jobs import schema
from streamproc.jobs.schema import groups, items, jobs
from streamproc.model.job import Aggregation, Group, Item

T = TypeVar("T")

_ROWS_PER_STEP = 2000
"""Changed in one transaction, so that writers get their turn within tens of milliseconds."""


class ResultStore:
    """The items and groups of every job, by the key of its row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: int, found: Sequence[Item], progress: float) -> None:
        """Items, in the order in which they are given, and how far the job is with them."""
        for part in _parts(found):
            # On a thread: what is written as JSON here takes long enough to be felt elsewhere.
            values = await asyncio.to_thread(schema.item_values, job, part)
            async with self._database.write() as connection:
                if values:
                    await connection.execute(insert(items), values)
                await connection.execute(
                    update(jobs).where(jobs.c.key == job).values(progress=progress)
                )

    async def judge(self, job: int, judged: Sequence[Group]) -> None:
        """Apply what is known of groups at the end: those without a body go with their items,
        a sort key takes the place of that of the items. A group that is not named stays as it
        is. The bodies are merged when a page is read."""
        if not judged:
            return
        for part in _parts(judged):
            values = await asyncio.to_thread(schema.group_values, job, part)
            async with self._database.write() as connection:
                await connection.execute(insert(groups), values)
        first, last = await self._span(job)
        own = groups.c.job == job
        unlisted = select(groups.c.number).where(own, ~groups.c.listed)
        sorted_anew = select(groups.c.number).where(own, groups.c.sort_key != "")
        sort_key = select(groups.c.sort_key).where(own, groups.c.number == items.c.group)
        for start in range(first, last + 1, _ROWS_PER_STEP):
            # A sum has no index, so that SQLite goes to the keys of the step and not through
            # all items of the job, for every step.
            step = and_(
                items.c.job + 0 == job, items.c.key.between(start, start + _ROWS_PER_STEP - 1)
            )
            async with self._database.write() as connection:
                await connection.execute(delete(items).where(step, items.c.group.in_(unlisted)))
                await connection.execute(
                    update(items)
                    .where(step, items.c.group.in_(sorted_anew))
                    .values(sort_key=sort_key.scalar_subquery())
                )

    async def clear(self, job: int) -> None:
        """Delete everything that the job has found."""
        some_items = select(items.c.key).where(items.c.job == job).limit(_ROWS_PER_STEP)
        some_groups = select(groups.c.number).where(groups.c.job == job).limit(_ROWS_PER_STEP)
        steps = (
            delete(items).where(items.c.key.in_(some_items)),
            delete(groups).where(groups.c.job == job, groups.c.number.in_(some_groups)),
        )
        for step in steps:
            deleted = _ROWS_PER_STEP
            while deleted == _ROWS_PER_STEP:
                async with self._database.write() as connection:
                    deleted = (await connection.execute(step)).rowcount

    async def page(
        self,
        job: ScalarSelect[int],
        aggregation: Aggregation,
        *,
        by_key: bool,
        offset: int,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Members of the items, as the API names them, from the place offset on. One statement,
        so all of one moment; job is the key of a job whose results may be seen."""
        by_time = (items.c.timestamp_ms, items.c.key)
        order = (items.c.sort_key, items.c.confidence.desc(), *by_time) if by_key else by_time
        # The place is found in the index alone; bodies are read for this page only.
        keys = (
            select(items.c.key)
            .where(items.c.job == job, items.c.aggregation == aggregation.value)
            .order_by(*order)
            .offset(offset)
            .limit(limit)
        )
        together = and_(groups.c.job == items.c.job, groups.c.number == items.c.group)
        wanted = (
            select(items.c.timestamp_ms, items.c.body, groups.c.body.label("group_body"))
            .select_from(items.outerjoin(groups, together))
            .where(items.c.key.in_(keys))
            .order_by(*order)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(wanted)).all()
        return await asyncio.to_thread(lambda: [schema.members_of(*row) for row in rows])

    async def _span(self, job: int) -> tuple[int, int]:
        """The least and the greatest key of the job's items; jobs that ran beside it have keys
        in between."""
        wanted = select(func.min(items.c.key), func.max(items.c.key)).where(items.c.job == job)
        async with self._database.read() as connection:
            first, last = (await connection.execute(wanted)).one()
        return (0, -1) if first is None else (first, last)


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """At least one part, which may be empty."""
    for start in range(0, max(len(rows), 1), _ROWS_PER_STEP):
        yield rows[start : start + _ROWS_PER_STEP]
