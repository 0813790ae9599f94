"""Face collections: the database, the indexes and what is known of both in memory, in step.

The database decides what exists; an index only proposes. A search therefore returns no face
that is not in the database, and sees every face whose add_faces has returned. One whose answer
is in memory asks the database nothing. Knows nothing of pictures, AWS requests or processors'
lives.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from streamproc.clock import Clock
from streamproc.collection.figures import CollectionFigures
from streamproc.collection.finder import Finder
from streamproc.collection.indexes import Indexes
from streamproc.collection.known import Known
from streamproc.collection.people import best_per_person
from streamproc.collection.processor_search import ProcessorSearch, permanent_failures
from streamproc.collection.schema import CollectionInfo
from streamproc.collection.store import CollectionStore
from streamproc.errors import CollectionNotFound
from streamproc.model.engine import EngineInfo
from streamproc.model.face import MATCHES_MAX, Embedding, Face, IndexedFace, Match
from streamproc.model.image_id import image_id_of
from streamproc.model.person import Celebrity, Recognised
from streamproc.model.processor import ProcessorSpec


class CollectionService:
    """All collections of all regions; one instance per daemon."""

    def __init__(
        self,
        store: CollectionStore,
        info: EngineInfo,
        similarity: Callable[[float], float],
        cosine: Callable[[float], float],
        clock: Clock,
        indexes: Indexes,
    ) -> None:
        self.info = info
        self._store = store
        self._clock = clock
        self._indexes = indexes
        self._known = Known(store.stamp)
        self._finder = Finder(store, indexes, self._known, info, similarity, cosine)

    @classmethod
    async def open(
        cls,
        path: Path,
        info: EngineInfo,
        similarity: Callable[[float], float],
        cosine: Callable[[float], float],
        account_id: str,
        clock: Clock,
        *,
        index_bytes_max: int = 2 * 1024**3,
        exact_faces_max: int = 2048,
    ) -> Self:
        """Open the database file; its folder must exist. Raises StoreDamaged.

        index_bytes_max bounds the indexes in memory, except that the collection searched
        last is always held whole. Collections of more than exact_faces_max faces have files
        of their own in the folder "indexes" beside the database.
        """
        store = await CollectionStore.open(path, account_id, info.dimension)
        indexes = Indexes(
            store,
            info.dimension,
            path.with_name("indexes"),
            bytes_max=index_bytes_max,
            exact_faces_max=exact_faces_max,
        )
        try:
            await indexes.open()
        except BaseException:
            await store.close()
            raise
        return cls(store, info, similarity, cosine, clock, indexes)

    async def aclose(self) -> None:
        await self._indexes.aclose()
        await self._store.close()

    async def create(
        self, region: str, collection_id: str, *, collections_max: int | None = None
    ) -> CollectionInfo:
        """A collection of the pack that runs, for ever. collections_max bounds those of the
        region. Raises CollectionExists, TooManyCollections."""
        return await self._store.create(
            region,
            collection_id,
            model_version=self.info.model_version,
            pack=self.info.pack,
            created_at=self._clock.now(),
            collections_max=collections_max,
        )

    async def describe(self, region: str, collection_id: str) -> CollectionInfo:
        """Raises CollectionNotFound."""
        return await self._store.get(region, collection_id)

    async def figures(self) -> CollectionFigures:
        """As they stand. Raises StoreUnavailable."""
        collections, faces = await self._store.totals()
        indexes, index_bytes = self._indexes.held
        search_seconds = self._finder.search_seconds.read()
        return CollectionFigures(collections, faces, indexes, index_bytes, search_seconds)

    async def list_collections(self, region: str, after: int, limit: int) -> list[CollectionInfo]:
        """In order of creation, those behind the key `after`; 0 begins."""
        return await self._store.list_collections(region, after, limit)

    async def delete(self, region: str, collection_id: str) -> None:
        """The collection with its faces and people; no byte of their vectors is left when this
        returns. Raises CollectionNotFound."""
        await self._indexes.sweep_left()
        collection = await self._store.get(region, collection_id)
        self._indexes.abandon(collection)
        try:
            async with self._indexes.lock(collection):
                await self._store.delete(collection)
                self._known.forget_all_of(collection)
                await self._indexes.discard(collection)
        finally:  # what is deleted is forgotten, whatever its index met with
            await self._store.forget()

    async def add_faces(
        self,
        region: str,
        collection_id: str,
        image_digest: str,
        external_image_id: str | None,
        faces: Sequence[Face],
        *,
        faces_max: int | None = None,
    ) -> list[IndexedFace]:
        """Index the faces of one picture, in their order; each needs its embedding.

        A face that the same picture gave before under the same external id is not added
        again but returned as it is. faces_max bounds those of the collection. Raises
        CollectionNotFound, ModelMismatch or TooManyFaces.
        """
        collection = await self._finder.usable(region, collection_id)
        if not faces:
            return []
        image_id = image_id_of(image_digest, external_image_id)
        async with self._indexes.lock(collection):
            change = await self._store.add(
                collection, image_id, external_image_id, faces, faces_max=faces_max
            )
            self._known.forget()
            await self._indexes.follow(collection, change)
        return list(change.faces)

    async def list_faces(
        self,
        region: str,
        collection_id: str,
        after: str | None,
        limit: int,
        face_ids: Sequence[str] | None = None,
    ) -> list[IndexedFace]:
        """In order of face id, those behind `after`; only those of face_ids, if given.

        Raises CollectionNotFound.
        """
        collection = await self._store.get(region, collection_id)
        return await self._store.list_faces(collection, after or "", limit, face_ids)

    async def delete_faces(
        self, region: str, collection_id: str, face_ids: Sequence[str]
    ) -> list[str]:
        """The ids that were there and now are not; no byte of their vectors is left when this
        returns. Raises CollectionNotFound."""
        await self._indexes.sweep_left()
        collection = await self._store.get(region, collection_id)
        try:
            async with self._indexes.lock(collection):
                change = await self._store.remove(collection, face_ids)
                self._known.forget(change.removed)
                await self._indexes.follow(collection, change)
        finally:  # what is deleted is forgotten, whatever its index met with
            await self._store.forget()
        return [face.face_id for face in change.faces]

    async def search(
        self,
        region: str,
        collection_id: str,
        embedding: Embedding,
        *,
        threshold: float,
        limit: int = MATCHES_MAX,
    ) -> list[Match]:
        """The faces whose Similarity (0 to 100) is at least the threshold, best first.

        Of a large collection these are the best ones; one near the threshold may be missing
        (see coded.py). Raises CollectionNotFound or ModelMismatch.
        """
        [matches] = await self.search_all(
            region, collection_id, [embedding], threshold=threshold, limit=limit
        )
        return matches

    async def search_all(
        self,
        region: str,
        collection_id: str,
        embeddings: Sequence[Embedding],
        *,
        threshold: float,
        limit: int = MATCHES_MAX,
    ) -> list[list[Match]]:
        """search() for several faces at once: a list for each, in their order."""
        collection = await self._finder.usable(region, collection_id)
        return await self._finder.search(collection, embeddings, threshold, limit)

    async def search_by_face_id(
        self, region: str, collection_id: str, face_id: str, *, threshold: float, limit: int
    ) -> list[Match]:
        """As search, for a face of the collection, which is not its own match.

        Raises CollectionNotFound, ModelMismatch or FaceNotFound.
        """
        collection = await self._finder.usable(region, collection_id)
        key, embedding = await self._store.embedding(collection, face_id)
        [matches] = await self._finder.search(
            collection, [embedding], threshold, limit, but_not=key
        )
        return matches

    async def put_people(
        self, region: str, collection_id: str, people: Sequence[Celebrity]
    ) -> None:
        """These are its people now, and nobody else; their ids differ.

        Raises CollectionNotFound.
        """
        collection = await self._store.get(region, collection_id)
        await self._store.registry.put(collection, people)

    async def people(self, region: str, collection_id: str) -> list[Celebrity]:
        """As they were put, in that order. Raises CollectionNotFound."""
        collection = await self._store.get(region, collection_id)
        return await self._store.registry.people_of(collection)

    async def celebrity(self, region: str, celebrity_id: str) -> Celebrity:
        """Raises CelebrityNotFound."""
        return await self._store.registry.find(region, celebrity_id)

    async def has_celebrities(self, region: str) -> bool:
        return bool(await self.collections_with_people(region))

    async def collections_with_people(self, region: str) -> list[CollectionInfo]:
        """Those in which celebrities of the region are looked for, oldest first."""
        return await self._store.registry.collections_with_people(region)

    async def recognise(
        self, region: str, embedding: Embedding, *, threshold: float, limit: int = MATCHES_MAX
    ) -> list[Recognised]:
        """The people whose photos match, best first, each once: of every collection of the
        region that has people. limit bounds the matches looked at in each.

        Raises ModelMismatch.
        """
        found: list[Recognised] = []
        for collection in await self._store.registry.collections_with_people(region):
            self._finder.check_pack(collection)
            with suppress(CollectionNotFound):  # deleted since
                [matches] = await self._finder.search(collection, [embedding], threshold, limit)
                found += await self._store.registry.recognise(collection, matches)
        return best_per_person(found)

    def compare(self, one: Embedding, other: Embedding) -> float:
        """The Similarity of two faces, 0 to 100."""
        return self._finder.similarity(float(np.dot(one, other)))

    @asynccontextmanager
    async def searcher(
        self, spec: ProcessorSpec, threshold: float
    ) -> AsyncIterator[ProcessorSearch]:
        """A processor's collection, its index built before the block is entered.

        Raises PermanentFailure if the processor cannot use the collection, TransientFailure
        while its database cannot be read.
        """
        with permanent_failures():
            await self._indexes.of(await self._finder.usable(spec.region, spec.collection_id))
        yield ProcessorSearch(
            partial(self.search_all, spec.region, spec.collection_id, threshold=threshold)
        )
