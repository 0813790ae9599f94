"""Streams and their tags, in SQL. The truth about what exists; fragments are index.py's.

Knows rows; knows nothing of AWS shapes, files or live video.
"""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.db import Database
from streamproc.errors import StreamprocError
from streamproc.local.kinesis_video.tables import STREAMS, TAGS

_VERSION_ALPHABET: Final = string.ascii_letters + string.digits


class StreamExists(StreamprocError):
    """A stream of this name exists in this region."""


class StreamGone(StreamprocError):
    """The stream has been deleted."""


class VersionChanged(StreamprocError):
    """The stream is no longer at the version that the caller read."""


class TooManyStreams(StreamprocError):
    """A region has as many streams as are allowed."""


class TooManyTags(StreamprocError):
    """A resource would carry more tags than allowed."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Everything the control plane knows of a stream."""

    id: int  # ours, never used twice
    region: str
    name: str
    created_ms: int  # since the epoch
    version: str  # opaque; another one after every change
    retention_hours: int  # 0: kept for a few minutes only
    device_name: str | None = None
    media_type: str | None = None
    kms_key_id: str | None = None


class StreamStore:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[tuple[StreamInfo, int]]:
        """Every stream with the number of its reserved blocks of fragment numbers."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(STREAMS))).mappings()
            return [(_info(row), row["blocks"]) for row in rows]

    async def create(
        self,
        region: str,
        name: str,
        created_ms: int,
        retention_hours: int,
        tags: Mapping[str, str],
        *,
        device_name: str | None = None,
        media_type: str | None = None,
        kms_key_id: str | None = None,
        streams_max: int | None = None,
    ) -> StreamInfo:
        """streams_max bounds those of the region. Raises StreamExists if it has a stream of this
        name, TooManyStreams."""
        values: dict[str, Any] = {
            "region": region,
            "name": name,
            "created_ms": created_ms,
            "version": new_version(),
            "retention_hours": retention_hours,
            "device_name": device_name,
            "media_type": media_type,
            "kms_key_id": kms_key_id,
        }
        try:
            async with self._database.write() as connection:
                if streams_max is not None:
                    await _check_room(connection, region, name, streams_max)
                added = insert(STREAMS).values(**values, blocks=0).returning(STREAMS.c.id)
                stream_id = (await connection.execute(added)).scalar_one()
                if tags:
                    await connection.execute(insert(TAGS), _tag_rows(stream_id, tags))
        except IntegrityError:
            raise StreamExists(f"Stream {name} exists already in {region}.") from None
        return StreamInfo(id=stream_id, **values)

    async def change(self, stream_id: int, version: str, **values: Any) -> StreamInfo:
        """Set columns and renew the version. Raises VersionChanged if version is not current."""
        async with self._database.write() as connection:
            changed = (
                update(STREAMS)
                .where(STREAMS.c.id == stream_id, STREAMS.c.version == version)
                .values(**values, version=new_version())
                .returning(STREAMS)
            )
            row = (await connection.execute(changed)).mappings().one_or_none()
        if row is None:
            raise VersionChanged(f"The stream is not at version {version} any more.")
        return _info(row)

    async def delete(self, stream_id: int, version: str | None) -> None:
        """Delete a stream and all that belongs to it; version None deletes any.

        Raises VersionChanged if version is not current.
        """
        gone = delete(STREAMS).where(STREAMS.c.id == stream_id)
        if version is not None:
            gone = gone.where(STREAMS.c.version == version)
        async with self._database.write() as connection:
            count = (await connection.execute(gone)).rowcount
        if not count:
            raise VersionChanged(f"The stream is not at version {version} any more.")

    async def reserve_block(self, stream_id: int) -> int:
        """Take one more block of fragment numbers; return how many are taken now.

        Raises StreamGone if the stream does not exist any more.
        """
        taken = (
            update(STREAMS)
            .where(STREAMS.c.id == stream_id)
            .values(blocks=STREAMS.c.blocks + 1)
            .returning(STREAMS.c.blocks)
        )
        async with self._database.write() as connection:
            blocks: int | None = (await connection.execute(taken)).scalar_one_or_none()
        if blocks is None:
            raise StreamGone("The stream has been deleted.")
        return blocks

    async def tags(self, stream_id: int) -> dict[str, str]:
        wanted = select(TAGS.c.key, TAGS.c.value).where(TAGS.c.stream_id == stream_id)
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(TAGS.c.key))
            return {row.key: row.value for row in rows}

    async def tag(self, stream_id: int, tags: Mapping[str, str], tags_max: int) -> None:
        """Add tags, replacing those of the same key. Raises TooManyTags and changes nothing."""
        async with self._database.write() as connection:
            await connection.execute(_without(stream_id, list(tags)))
            await connection.execute(insert(TAGS), _tag_rows(stream_id, tags))
            counted = select(func.count()).where(TAGS.c.stream_id == stream_id)
            count = (await connection.execute(counted)).scalar_one()
            if count > tags_max:
                raise TooManyTags(
                    f"The stream would have {count} tags; {tags_max} are the most. "
                    "Remove some with UntagStream."
                )

    async def untag(self, stream_id: int, keys: Sequence[str]) -> None:
        async with self._database.write() as connection:
            await connection.execute(_without(stream_id, keys))


async def _check_room(
    connection: AsyncConnection, region: str, name: str, streams_max: int
) -> None:
    """Raises TooManyStreams; not for one that exists, of which more is to be said."""
    others = select(func.count()).where(STREAMS.c.region == region, STREAMS.c.name != name)
    count = (await connection.execute(others)).scalar_one()
    if count >= streams_max:
        raise TooManyStreams(
            f"Region {region} has {count} streams, as many as may be (video.streams_max); "
            "delete one first."
        )


def new_version() -> str:
    """An opaque version: 20 alphanumerics, like the service's own."""
    return "".join(secrets.choice(_VERSION_ALPHABET) for _ in range(20))


def _info(row: RowMapping) -> StreamInfo:
    return StreamInfo(**{name: row[name] for name in StreamInfo.__dataclass_fields__})


def _tag_rows(stream_id: int, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"stream_id": stream_id, "key": key, "value": value} for key, value in tags.items()]


def _without(stream_id: int, keys: Sequence[str]) -> Any:
    return delete(TAGS).where(TAGS.c.stream_id == stream_id, TAGS.c.key.in_(keys))
