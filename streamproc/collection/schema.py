"""The tables of collections, faces and people, and their rows as values.

Plain SQL types that SQLite and PostgreSQL share. Knows no statement.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from streamproc.db import Revisions
from streamproc.errors import CollectionNotFound
from streamproc.model.arn import collection_arn
from streamproc.model.face import BoundingBox, Embedding, IndexedFace
from streamproc.model.person import Celebrity

REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")
_BLOB = np.dtype("<f4")
# SQLite makes only INTEGER an alias of its row id.
_Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()
collections = Table(
    "collections",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("region", String(64), nullable=False),
    Column("collection_id", String(255), nullable=False),
    Column("model_version", String(255), nullable=False),
    Column("pack", String(255), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("face_count", BigInteger, nullable=False),
    UniqueConstraint("region", "collection_id"),
    sqlite_autoincrement=True,  # a key is never used twice, so nothing mistakes new for old
)
faces = Table(
    "faces",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("collection", _Key, ForeignKey("collections.key"), nullable=False),
    Column("face_id", String(36), nullable=False),
    Column("image_id", String(36), nullable=False),
    Column("external_image_id", String(255)),
    Column("left", Float(53), nullable=False),
    Column("top", Float(53), nullable=False),
    Column("width", Float(53), nullable=False),
    Column("height", Float(53), nullable=False),
    Column("confidence", Float(53), nullable=False),
    Column("embedding", LargeBinary, nullable=False),
    UniqueConstraint("collection", "face_id"),
    Index("faces_of_image", "collection", "image_id"),
    sqlite_autoincrement=True,
)
people = Table(
    "people",
    metadata,
    Column("collection", _Key, ForeignKey("collections.key"), primary_key=True),
    Column("person_id", String(64), primary_key=True),
    Column("place", Integer, nullable=False),  # in the list that was put
    Column("name", String(255), nullable=False),
    Column("urls", Text, nullable=False),  # a JSON list
    Column("gender", String(16), nullable=False),
)
described_faces = [column for column in faces.c if column.name != "embedding"]
"""Everything but the vector, which is most of a row."""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """One collection as it was when it was read."""

    key: int  # in order of creation; never used twice
    region: str
    collection_id: str
    arn: str
    model_version: str
    pack: str
    created_at: float  # seconds since the epoch
    generation: int  # one more with every change of its faces
    face_count: int


def collection_of(row: Row[Any], account_id: str) -> CollectionInfo:
    arn = collection_arn(row.region, account_id, row.collection_id)
    return CollectionInfo(arn=arn, **row._mapping)


def not_found(collection_id: str) -> CollectionNotFound:
    return CollectionNotFound(f"The collection id: {collection_id} does not exist")


def face_of(row: Row[Any], collection: CollectionInfo) -> IndexedFace:
    return IndexedFace(
        face_id=row.face_id,
        image_id=row.image_id,
        external_image_id=row.external_image_id,
        box=BoundingBox(row.left, row.top, row.width, row.height),
        confidence=row.confidence,
        model_version=collection.model_version,
    )


def face_values(
    face: IndexedFace, embedding: Embedding, collection: CollectionInfo
) -> dict[str, Any]:
    """The row of a new face."""
    return {
        "collection": collection.key,
        "face_id": face.face_id,
        "image_id": face.image_id,
        "external_image_id": face.external_image_id,
        "left": face.box.left,
        "top": face.box.top,
        "width": face.box.width,
        "height": face.box.height,
        "confidence": face.confidence,
        "embedding": embedding.astype(_BLOB).tobytes(),
    }


def person_of(row: Row[Any]) -> Celebrity:
    return Celebrity(row.person_id, row.name, tuple(json.loads(row.urls)), row.gender)


def person_values(person: Celebrity, place: int, collection: CollectionInfo) -> dict[str, Any]:
    return {
        "collection": collection.key,
        "person_id": person.id,
        "place": place,
        "name": person.name,
        "urls": json.dumps(person.urls),
        "gender": person.gender,
    }


def vectors_of(blobs: list[bytes], dimension: int) -> NDArray[np.float32]:
    """Stored embeddings as an array of shape (len(blobs), dimension)."""
    stored = np.frombuffer(b"".join(blobs), _BLOB).reshape(len(blobs), dimension)
    return stored.astype(np.float32, copy=False)
