"""Tags of any resource, by its ARN, in SQL.

Knows nothing of what the ARN names: whoever creates a resource calls replace(), whoever
deletes one calls clear(), and a later resource of the same name never inherits tags.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Column, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.db import Database, Revisions
from streamproc.errors import StreamprocError

REVISIONS: Final = Revisions(Path(__file__).parent / "tag_revisions")
metadata = MetaData()
_tags = Table(
    "tags",
    metadata,
    Column("arn", String(2048), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", Text, nullable=False),
)


class TooManyTags(StreamprocError):
    """A resource would carry more tags than allowed."""


class TagStore:
    """Each change is one transaction, on disk when the call returns."""

    def __init__(self, database: Database, tags_max: int) -> None:
        self._database = database
        self._tags_max = tags_max

    @classmethod
    async def open(cls, path: Path, tags_max: int) -> Self:
        """Raises StoreDamaged if the file cannot be read."""
        return cls(await Database.open_file(path, metadata, REVISIONS), tags_max)

    async def aclose(self) -> None:
        await self._database.close()

    async def of(self, arn: str) -> dict[str, str]:
        """All tags of a resource, by key."""
        async with self._database.read() as connection:
            return await _read(connection, arn)

    def check(self, arn: str, tags: Mapping[str, str]) -> None:
        """Raises TooManyTags if a new resource may not carry these."""
        if len(tags) > self._tags_max:
            raise TooManyTags(
                f"{arn} would have {len(tags)} tags; the most is {self._tags_max} "
                "(processors.tags_max)"
            )

    async def replace(self, arn: str, tags: Mapping[str, str]) -> None:
        """Give a new resource exactly these tags. Raises TooManyTags."""
        self.check(arn, tags)
        async with self._database.write() as connection:
            await _write(connection, arn, tags)

    async def merge(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags, and overwrite those of the same key. Raises TooManyTags, changing nothing."""
        async with self._database.write() as connection:
            merged = await _read(connection, arn) | dict(tags)
            self.check(arn, merged)
            await _write(connection, arn, merged)

    async def remove(self, arn: str, keys: Iterable[str]) -> None:
        """Remove tags; keys that are not there are no error."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(_tags).where(_tags.c.arn == arn, _tags.c.key.in_(list(keys)))
            )

    async def clear(self, arn: str) -> None:
        """Forget a deleted resource's tags."""
        await self.replace(arn, {})


async def _read(connection: AsyncConnection, arn: str) -> dict[str, str]:
    rows = await connection.execute(
        select(_tags.c.key, _tags.c.value).where(_tags.c.arn == arn).order_by(_tags.c.key)
    )
    return {row.key: row.value for row in rows}


async def _write(connection: AsyncConnection, arn: str, tags: Mapping[str, str]) -> None:
    await connection.execute(delete(_tags).where(_tags.c.arn == arn))
    if tags:
        await connection.execute(
            insert(_tags), [{"arn": arn, "key": key, "value": value} for key, value in tags.items()]
        )
