"""What happens to the faces of a collection within one transaction.

Each change raises the collection's generation by one and keeps its count of faces, so whoever
mirrors it can tell whether it is behind. Knows the statements; the transaction is the caller's.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.collection import schema
from streamproc.collection.schema import (
    CollectionInfo,
    collections,
    described_faces,
    faces,
    not_found,
)
from streamproc.model.face import Embedding, Face, IndexedFace, overlap

_SAME_FACE = 0.5
"""Boxes of one picture that overlap this much are one face: detectors suppress overlaps
below it, and a second run of the same model moves a box by far less."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction did to a collection, for those who mirror it."""

    generation: int
    face_count: int  # of the collection, after it
    faces: tuple[IndexedFace, ...]  # in the order asked for
    added: tuple[tuple[int, Embedding], ...] = ()
    removed: tuple[int, ...] = ()


async def add_faces(
    connection: AsyncConnection,
    collection: CollectionInfo,
    image_id: str,
    external_image_id: str | None,
    found: Sequence[Face],
) -> Change:
    """See CollectionStore.add(). Raises CollectionNotFound."""
    generation = await _next_generation(connection, collection)
    rows = await connection.execute(
        select(*described_faces).where(
            faces.c.collection == collection.key, faces.c.image_id == image_id
        )
    )
    known = [schema.face_of(row, collection) for row in rows]
    indexed: list[IndexedFace] = []
    added: list[tuple[int, Embedding]] = []
    for face in found:
        same = next(
            (old for old in known if overlap(old.box.edges, face.box.edges) > _SAME_FACE), None
        )
        if same is None:
            if face.embedding is None:
                raise ValueError(f"a face at {face.box} has no embedding to be kept")
            same = _new_face(face, image_id, external_image_id, collection)
            result = await connection.execute(
                insert(faces).values(schema.face_values(same, face.embedding, collection))
            )
            added.append((_key(result.inserted_primary_key), face.embedding))
        indexed.append(same)
    count = await _count(connection, collection, len(added))
    return Change(generation, count, tuple(indexed), added=tuple(added))


async def remove_faces(
    connection: AsyncConnection, collection: CollectionInfo, face_ids: Sequence[str]
) -> Change:
    """See CollectionStore.remove(). Raises CollectionNotFound."""
    generation = await _next_generation(connection, collection)
    gone = await connection.execute(
        delete(faces)
        .where(faces.c.collection == collection.key, faces.c.face_id.in_(face_ids))
        .returning(*described_faces)
    )
    rows = gone.all()
    count = await _count(connection, collection, -len(rows))
    return Change(
        generation,
        count,
        tuple(schema.face_of(row, collection) for row in rows),
        removed=tuple(row.key for row in rows),
    )


async def _next_generation(connection: AsyncConnection, collection: CollectionInfo) -> int:
    # First in its transaction: where several daemons share a database, it locks the row.
    generation = await connection.scalar(
        update(collections)
        .where(collections.c.key == collection.key)
        .values(generation=collections.c.generation + 1)
        .returning(collections.c.generation)
    )
    if generation is None:
        raise not_found(collection.collection_id)
    return int(generation)


async def _count(connection: AsyncConnection, collection: CollectionInfo, more: int) -> int:
    """How many faces the collection has now."""
    count = await connection.scalar(
        update(collections)
        .where(collections.c.key == collection.key)
        .values(face_count=collections.c.face_count + more)
        .returning(collections.c.face_count)
    )
    return int(count or 0)


def _new_face(
    face: Face, image_id: str, external_image_id: str | None, collection: CollectionInfo
) -> IndexedFace:
    return IndexedFace(
        face_id=str(uuid.uuid4()),
        image_id=image_id,
        external_image_id=external_image_id,
        box=face.box,
        confidence=face.confidence,
        model_version=collection.model_version,
    )


def _key(primary_key: Sequence[Any] | None) -> int:
    assert primary_key is not None
    return int(primary_key[0])
