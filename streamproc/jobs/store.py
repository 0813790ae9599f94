"""Jobs on disk: what was asked for, how far it is, and what becomes of it.

Each method is on disk when it returns. A job that is kept no longer is gone for readers at the
moment it is past, whenever the sweep comes. Knows no tasks and no media.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Row, Select, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.clock import Clock
from streamproc.db import Database
from streamproc.errors import TokenMismatch, TooManyJobs, UnknownJob
from streamproc.jobs import outbox, schema
from streamproc.jobs.completion import completion_message
from streamproc.jobs.outbox import Outbox
from streamproc.jobs.ports import Outcome
from streamproc.jobs.results import ResultStore
from streamproc.jobs.schema import OpenJob, jobs, notices
from streamproc.model.job import Aggregation, JobKind, JobSpec, JobStatus, JobView
from streamproc.model.video import VideoMetadata

_GRACE_S = 60.0
"""Past results are deleted this much later: who learned of a job in time gets the page too."""


class JobStore:
    """The table of jobs, with their results and their notices."""

    def __init__(self, database: Database, clock: Clock, kept_s: float) -> None:
        self._database = database
        self._clock = clock
        self._kept_s = kept_s
        self.results = ResultStore(database)
        self.outbox = Outbox(database)

    @classmethod
    async def open(cls, path: Path, clock: Clock, kept_s: float) -> Self:
        """kept_s: how long a job is kept once it has ended. Raises StoreDamaged if the file
        cannot be read."""
        return cls(await Database.open_file(path, schema.metadata, schema.REVISIONS), clock, kept_s)

    async def aclose(self) -> None:
        await self._database.close()

    async def insert(
        self, job_id: str, spec: JobSpec, token: str | None, open_max: int
    ) -> OpenJob | str:
        """The job, or the id of the one that this token has asked for before.

        Raises TooManyJobs and TokenMismatch. Of two callers with one token, one makes the job.
        """
        async with self._database.write() as connection:
            if token is not None:
                same = await connection.execute(_of_token(spec, token))
                known = same.first()
                if known is not None and self._is_kept(known):
                    return _same(known, spec, token)
                if known is not None:  # past, and not swept yet
                    await connection.execute(
                        update(jobs).where(jobs.c.key == known.key).values(token=None)
                    )
            is_open = _is(JobStatus.IN_PROGRESS)
            count = await connection.scalar(
                select(func.count()).select_from(jobs).where(is_open, jobs.c.region == spec.region)
            )
            if count is not None and count >= open_max:
                raise TooManyJobs(count, open_max)
            values = schema.job_values(job_id, spec, token, self._now())
            result = await connection.execute(insert(jobs).values(values))
            assert result.inserted_primary_key is not None
            return OpenJob(int(result.inserted_primary_key[0]), job_id, spec, starts=0)

    async def find(self, spec: JobSpec, token: str) -> str | None:
        """The id of the job that this token has asked for before. Raises TokenMismatch."""
        rows = await self._rows(_of_token(spec, token).where(self._kept()))
        return _same(rows[0], spec, token) if rows else None

    async def get(self, region: str, job_id: str, kind: JobKind | None = None) -> JobView:
        """Raises UnknownJob; a job of another kind or region is unknown."""
        wanted = select(jobs).where(jobs.c.id == job_id, jobs.c.region == region, self._kept())
        if kind is not None:
            wanted = wanted.where(jobs.c.kind == kind.value)
        rows = await self._rows(wanted)
        if not rows:
            named = f"{kind.value} job" if kind is not None else "job"
            raise UnknownJob(f"there is no {named} {job_id} in {region}")
        return schema.view_of(rows[0])

    async def list_jobs(
        self, region: str, after: tuple[float, str] | None, limit: int
    ) -> list[JobView]:
        """Newest first, those behind the (created_at, id) after."""
        place = tuple_(jobs.c.created_at, jobs.c.id)
        wanted = select(jobs).where(jobs.c.region == region, self._kept())
        if after is not None:
            wanted = wanted.where(place < tuple_(*after))
        newest = wanted.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        return [schema.view_of(row) for row in await self._rows(newest)]

    async def counts(self) -> dict[JobStatus, int]:
        """How many jobs of all regions are kept, by status; every status is there."""
        number = func.count().label("number")
        rows = await self._rows(select(jobs.c.status, number).group_by(jobs.c.status))
        found = {JobStatus(row.status): int(row.number) for row in rows}
        return {status: found.get(status, 0) for status in JobStatus}

    async def open_jobs(self) -> list[OpenJob]:
        """Every job that has not ended, oldest first."""
        wanted = select(jobs).where(_is(JobStatus.IN_PROGRESS)).order_by(jobs.c.key)
        return [
            OpenJob(row.key, row.id, schema.spec_of(row.spec), row.starts)
            for row in await self._rows(wanted)
        ]

    async def begin(self, job: OpenJob) -> None:
        """Count a start, and forget what an earlier one has written."""
        fresh: dict[str, Any] = {"progress": 0.0, "video": None, "model_version": ""}
        await self._update(job, starts=job.starts + 1, **fresh)
        await self.results.clear(job.key)

    async def rest(self, job: OpenJob) -> None:
        """The daemon ends of its own will in the middle: that was no start."""
        await self._update(job, starts=job.starts)

    async def save_model_version(self, job: OpenJob, model_version: str) -> None:
        await self._update(job, model_version=model_version)

    async def save_metadata(self, job: OpenJob, metadata: VideoMetadata) -> None:
        await self._update(job, video=asdict(metadata))

    async def succeed(self, job: OpenJob, outcome: Outcome) -> None:
        """Complete what was found, then let it be seen and its topic be told, at once."""
        await self.results.add(job.key, outcome.items, 1.0)
        await self.results.judge(job.key, outcome.groups)
        await self._end(job, JobStatus.SUCCEEDED, "")

    async def fail(self, job: OpenJob, message: str) -> None:
        """Nothing that was found is kept: a half result is none."""
        await self._end(job, JobStatus.FAILED, message)
        await self.results.clear(job.key)

    async def page(
        self, job_id: str, aggregation: Aggregation, *, by_key: bool, offset: int, limit: int
    ) -> list[dict[str, Any]]:
        """Items of a job that SUCCEEDED, each {"Timestamp": ms, its other members}, from the
        place offset on; of any other job none. Results never change, so a place is a number.
        Whether the job is kept still is for get() to say, before.

        By time: then in the order in which they were found. By key: by sort key, the surest
        first, then by time.
        """
        job = select(jobs.c.key).where(jobs.c.id == job_id, _is(JobStatus.SUCCEEDED))
        return await self.results.page(
            job.scalar_subquery(), aggregation, by_key=by_key, offset=offset, limit=limit
        )

    async def expire(self) -> int:
        """Delete jobs that are kept no longer, with all they have; their number. A job that
        has not ended is always kept."""
        past = jobs.c.finished_at <= self._clock.now() - self._kept_s - _GRACE_S
        rows = await self._rows(select(jobs.c.key).where(past))
        for row in rows:
            await self.results.clear(row.key)
            async with self._database.write() as connection:
                await outbox.forget(connection, row.key)
                await connection.execute(delete(jobs).where(jobs.c.key == row.key))
        return len(rows)

    async def _end(self, job: OpenJob, status: JobStatus, message: str) -> None:
        finished_at = self._now()
        values: dict[str, Any] = {"message": message, "finished_at": finished_at}
        if status is JobStatus.SUCCEEDED:
            values["progress"] = 1.0
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(jobs)
                .where(jobs.c.key == job.key, _is(JobStatus.IN_PROGRESS))
                .values(status=status.value, **values)
            )
            if ended.rowcount and job.spec.topic_arn:
                await _tell(connection, job, status, finished_at)

    async def _update(self, job: OpenJob, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(jobs)
                .where(jobs.c.key == job.key, _is(JobStatus.IN_PROGRESS))
                .values(**values)
            )

    async def _rows(self, wanted: Select[Any]) -> list[Row[Any]]:
        async with self._database.read() as connection:
            return list((await connection.execute(wanted)).all())

    def _kept(self) -> Any:
        since = self._clock.now() - self._kept_s
        return or_(jobs.c.finished_at.is_(None), jobs.c.finished_at > since)

    def _is_kept(self, row: Row[Any]) -> bool:
        return row.finished_at is None or row.finished_at > self._clock.now() - self._kept_s

    def _now(self) -> float:
        return round(self._clock.now(), 3)


def _is(status: JobStatus) -> Any:
    return jobs.c.status == status.value


def _of_token(spec: JobSpec, token: str) -> Select[Any]:
    same = and_(jobs.c.kind == spec.kind.value, jobs.c.token == token)
    return select(jobs).where(jobs.c.region == spec.region, same)


def _same(row: Row[Any], spec: JobSpec, token: str) -> str:
    if schema.spec_of(row.spec) != schema.as_stored(spec):
        raise TokenMismatch(
            f"The ClientRequestToken: {token} you have supplied is already in use, with other "
            f"parameters, by job {row.id}; use another token, or the same parameters"
        )
    return str(row.id)


async def _tell(
    connection: AsyncConnection, job: OpenJob, status: JobStatus, finished_at: float
) -> None:
    spec = job.spec
    await connection.execute(
        insert(notices).values(
            job=job.key,
            region=spec.region,
            topic_arn=spec.topic_arn,
            role_arn=spec.role_arn,
            message=completion_message(job.id, spec, status, round(finished_at * 1000)),
        )
    )
