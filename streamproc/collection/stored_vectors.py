"""The vectors of a collection as the database has them, for indexes that are made or mended.

A face's row never changes and its key is never used again, so keys alone tell what came and
what went.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select

from streamproc.collection import schema
from streamproc.collection.schema import CollectionInfo, collections, faces, not_found
from streamproc.db import Database

_ROWS_PER_PART = 8192
_ROWS_PER_STATEMENT = 512


class StoredVectors:
    def __init__(self, database: Database, dimension: int) -> None:
        self._database = database
        self._dimension = dimension

    async def of(
        self, collection: CollectionInfo
    ) -> AsyncGenerator[tuple[int, list[int], NDArray[np.float32]], None]:
        """(generation, keys, vectors) in parts, all of one moment; at least one part.

        Raises CollectionNotFound.
        """
        # One statement is one snapshot in every database, whatever its isolation level.
        wanted = _of(collection, select(collections.c.generation, faces.c.key, faces.c.embedding))
        found = False
        async with self._database.read() as connection:
            result = await connection.stream(wanted)
            async for part in result.partitions(_ROWS_PER_PART):
                found = True
                rows = [row for row in part if row.key is not None]
                blobs = [row.embedding for row in rows]
                yield (
                    int(part[0].generation),
                    [row.key for row in rows],
                    schema.vectors_of(blobs, self._dimension),
                )
        if not found:
            raise not_found(collection.collection_id)

    async def keys(self, collection: CollectionInfo) -> tuple[int, NDArray[np.int64]]:
        """(generation, keys of its faces). Raises CollectionNotFound."""
        wanted = _of(collection, select(collections.c.generation, faces.c.key))
        generation = None
        parts: list[NDArray[np.int64]] = []
        async with self._database.read() as connection:
            result = await connection.stream(wanted)
            async for part in result.partitions(_ROWS_PER_PART):
                generation = int(part[0].generation)
                keys = [row.key for row in part if row.key is not None]
                parts.append(np.asarray(keys, np.int64))
        if generation is None:
            raise not_found(collection.collection_id)
        return generation, np.concatenate(parts)

    async def some(self, keys: Sequence[int]) -> tuple[list[int], NDArray[np.float32]]:
        """Those of the keys whose faces are still there, and their vectors."""
        blobs: dict[int, bytes] = {}
        async with self._database.read() as connection:
            for start in range(0, len(keys), _ROWS_PER_STATEMENT):
                part = keys[start : start + _ROWS_PER_STATEMENT]
                wanted = select(faces.c.key, faces.c.embedding).where(faces.c.key.in_(part))
                blobs |= {row.key: row.embedding for row in await connection.execute(wanted)}
        return list(blobs), schema.vectors_of(list(blobs.values()), self._dimension)


def _of(collection: CollectionInfo, wanted: Select[Any]) -> Select[Any]:
    """Of its faces; one row without a face if it has none."""
    joined = collections.outerjoin(faces, faces.c.collection == collections.c.key)
    return wanted.select_from(joined).where(collections.c.key == collection.key)
