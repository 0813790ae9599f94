"""Notices that no topic has accepted yet, on disk. The store puts them here, in the same
transaction that ends their job; they leave when they are accepted, or with their job.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.db import Database
from streamproc.jobs.ports import Notice
from streamproc.jobs.schema import jobs, notices


@dataclass(frozen=True, slots=True)
class Destination:
    """Where notices go: one topic, told with one role."""

    region: str
    topic_arn: str
    role_arn: str


class Outbox:
    """Every notice that waits, oldest first for each destination."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def destinations(self) -> Sequence[Destination]:
        """Those that have notices waiting."""
        wanted = select(notices.c.region, notices.c.topic_arn, notices.c.role_arn).distinct()
        async with self._database.read() as connection:
            return [Destination(*row) for row in await connection.execute(wanted)]

    async def oldest(self, destination: Destination) -> tuple[int, Notice] | None:
        """The notice that comes next, with its key; None if nothing waits."""
        wanted = (
            select(notices.c.key, notices.c.message, jobs.c.id)
            .join(jobs, jobs.c.key == notices.c.job)
            .where(
                notices.c.region == destination.region,
                notices.c.topic_arn == destination.topic_arn,
                notices.c.role_arn == destination.role_arn,
            )
            .order_by(notices.c.key)
            .limit(1)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).first()
        if row is None:
            return None
        return row.key, Notice(
            region=destination.region,
            topic_arn=destination.topic_arn,
            role_arn=destination.role_arn,
            job_id=row.id,
            message=row.message,
        )

    async def accepted(self, key: int) -> None:
        """The topic has it; it is not told again."""
        async with self._database.write() as connection:
            await connection.execute(delete(notices).where(notices.c.key == key))


async def forget(connection: AsyncConnection, job: int) -> None:
    """Give up what a topic should have heard of a job."""
    await connection.execute(delete(notices).where(notices.c.job == job))
