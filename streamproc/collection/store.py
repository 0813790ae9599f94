"""Collections and their faces in SQL: the truth that every index is built from.

Each change is one transaction that also raises the collection's generation by one, so
whoever mirrors a collection can tell whether it is behind. Knows nothing of pictures,
similarity or FAISS.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Row, Select, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.collection import schema
from streamproc.collection.face_changes import Change, add_faces, remove_faces
from streamproc.collection.people import Registry
from streamproc.collection.schema import (
    CollectionInfo,
    collections,
    described_faces,
    faces,
    not_found,
    people,
)
from streamproc.collection.stored_vectors import StoredVectors
from streamproc.db import Database
from streamproc.errors import (
    CollectionExists,
    FaceNotFound,
    TooManyCollections,
    TooManyFaces,
)
from streamproc.model.face import Embedding, Face, IndexedFace


class CollectionStore:
    """Every method that changes something has it on disk when it returns."""

    def __init__(self, database: Database, account_id: str, dimension: int) -> None:
        self._database = database
        self._account_id = account_id
        self._dimension = dimension
        self.registry = Registry(database, account_id)
        self.vectors = StoredVectors(database, dimension)

    @classmethod
    async def open(cls, path: Path, account_id: str, dimension: int) -> Self:
        """Raises StoreDamaged if the file cannot be read."""
        database = await Database.open_file(path, schema.metadata, schema.REVISIONS)
        return cls(database, account_id, dimension)

    def stamp(self) -> tuple[int, ...]:
        """Another one after every commit, whoever made it."""
        return self._database.stamp()

    async def close(self) -> None:
        await self._database.close()

    async def forget(self) -> None:
        """Return once no byte of what was deleted is on disk; see Database.forget()."""
        await self._database.forget()

    async def create(
        self,
        region: str,
        collection_id: str,
        *,
        model_version: str,
        pack: str,
        created_at: float,
        collections_max: int | None = None,
    ) -> CollectionInfo:
        """collections_max bounds those of the region. Raises CollectionExists,
        TooManyCollections."""
        try:
            async with self._database.write() as connection:
                if collections_max is not None:
                    await _check_room(connection, region, collection_id, collections_max)
                await connection.execute(
                    insert(collections).values(
                        region=region,
                        collection_id=collection_id,
                        model_version=model_version,
                        pack=pack,
                        created_at=created_at,
                        generation=0,
                        face_count=0,
                    )
                )
        except IntegrityError:
            raise CollectionExists(f"The collection id: {collection_id} already exists.") from None
        return await self.get(region, collection_id)

    async def get(self, region: str, collection_id: str) -> CollectionInfo:
        """Raises CollectionNotFound."""
        rows = await self._rows(
            select(collections).where(
                collections.c.region == region, collections.c.collection_id == collection_id
            )
        )
        if not rows:
            raise not_found(collection_id)
        return schema.collection_of(rows[0], self._account_id)

    async def by_key(self, key: int) -> CollectionInfo | None:
        rows = await self._rows(select(collections).where(collections.c.key == key))
        return schema.collection_of(rows[0], self._account_id) if rows else None

    async def list_collections(self, region: str, after: int, limit: int) -> list[CollectionInfo]:
        """In order of creation, those behind the key `after`."""
        rows = await self._rows(
            select(collections)
            .where(collections.c.region == region, collections.c.key > after)
            .order_by(collections.c.key)
            .limit(limit)
        )
        return [schema.collection_of(row, self._account_id) for row in rows]

    async def totals(self) -> tuple[int, int]:
        """How many collections there are, in all regions, and faces in them."""
        number = func.count().label("number")
        faces_in_all = func.coalesce(func.sum(collections.c.face_count), 0).label("faces")
        [row] = await self._rows(select(number, faces_in_all).select_from(collections))
        return int(row.number), int(row.faces)

    async def delete(self, collection: CollectionInfo) -> None:
        """The collection, its faces and its people. Raises CollectionNotFound."""
        async with self._database.write() as connection:
            await connection.execute(delete(people).where(people.c.collection == collection.key))
            await connection.execute(delete(faces).where(faces.c.collection == collection.key))
            gone = await connection.execute(
                delete(collections).where(collections.c.key == collection.key)
            )
            if gone.rowcount == 0:
                raise not_found(collection.collection_id)

    async def add(
        self,
        collection: CollectionInfo,
        image_id: str,
        external_image_id: str | None,
        found: Sequence[Face],
        *,
        faces_max: int | None = None,
    ) -> Change:
        """Add the faces of one picture; those that the picture gave before stay as they are.

        faces_max bounds those of the collection. Raises CollectionNotFound; TooManyFaces, and
        adds none.
        """
        async with self._database.write() as connection:
            change = await add_faces(connection, collection, image_id, external_image_id, found)
            count = change.face_count
            if change.added and faces_max is not None and count > faces_max:
                raise TooManyFaces(
                    f"Collection {collection.collection_id} would hold {count} faces; the most "
                    f"is {faces_max} (faces.faces_per_collection_max)."
                )
        return change

    async def remove(self, collection: CollectionInfo, face_ids: Sequence[str]) -> Change:
        """Delete faces; ids that are not there are no error. Raises CollectionNotFound."""
        async with self._database.write() as connection:
            return await remove_faces(connection, collection, face_ids)

    async def list_faces(
        self, collection: CollectionInfo, after: str, limit: int, face_ids: Sequence[str] | None
    ) -> list[IndexedFace]:
        """In order of face id, those behind `after`; only those of face_ids, if given."""
        wanted = (
            select(*described_faces)
            .where(faces.c.collection == collection.key, faces.c.face_id > after)
            .order_by(faces.c.face_id)
            .limit(limit)
        )
        if face_ids is not None:
            wanted = wanted.where(faces.c.face_id.in_(face_ids))
        return [schema.face_of(row, collection) for row in await self._rows(wanted)]

    async def faces_by_key(
        self, collection: CollectionInfo, keys: Sequence[int]
    ) -> dict[int, IndexedFace]:
        """Those of the keys that are still there."""
        rows = await self._rows(select(*described_faces).where(faces.c.key.in_(keys)))
        return {row.key: schema.face_of(row, collection) for row in rows}

    async def embedding(self, collection: CollectionInfo, face_id: str) -> tuple[int, Embedding]:
        """A face's key and vector. Raises FaceNotFound."""
        rows = await self._rows(
            select(faces.c.key, faces.c.embedding).where(
                faces.c.collection == collection.key, faces.c.face_id == face_id
            )
        )
        if not rows:
            raise FaceNotFound(
                f"faceId was not found in the collection: there is no {face_id} in "
                f"{collection.collection_id}."
            )
        return rows[0].key, schema.vectors_of([rows[0].embedding], self._dimension)[0]

    async def _rows(self, wanted: Select[Any]) -> list[Row[Any]]:
        async with self._database.read() as connection:
            result = await connection.execute(wanted)
            return list(result.all())


async def _check_room(
    connection: AsyncConnection, region: str, collection_id: str, collections_max: int
) -> None:
    """Raises TooManyCollections; not for one that exists, of which more is to be said."""
    others = select(func.count()).where(
        collections.c.region == region, collections.c.collection_id != collection_id
    )
    count = await connection.scalar(others) or 0
    if count >= collections_max:
        raise TooManyCollections(
            f"Region {region} has {count} collections, as many as may be "
            "(faces.collections_max); delete one first."
        )
