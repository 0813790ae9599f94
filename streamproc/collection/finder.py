"""Whose face this is: an embedding in, the faces of a collection that match it out.

The index proposes, the database decides: what is no longer there is not answered. Where all of
the answer is in memory, the database is asked nothing. Knows nothing of changes.
"""

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

from streamproc.collection.indexes import Indexes
from streamproc.collection.known import Known
from streamproc.collection.schema import CollectionInfo
from streamproc.collection.store import CollectionStore
from streamproc.errors import ModelMismatch
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Embedding, IndexedFace, Match
from streamproc.model.histogram import FINE_S, Histogram

# Cosines of float32 vectors are this exact; the calibration then decides what matches.
_COSINE_SLACK = 1e-5


class Finder:
    """Searches of all collections, for one pack."""

    def __init__(
        self,
        store: CollectionStore,
        indexes: Indexes,
        known: Known,
        info: EngineInfo,
        similarity: Callable[[float], float],
        cosine: Callable[[float], float],
    ) -> None:
        """similarity: of a cosine, 0 to 100; cosine: the other way round."""
        self._store = store
        self._indexes = indexes
        self._known = known
        self._info = info
        self._similarity = similarity
        self._cosine = cosine
        self.search_seconds = Histogram(FINE_S)
        """Of one frame's or picture's faces together, in the index alone."""

    async def usable(self, region: str, collection_id: str) -> CollectionInfo:
        """Raises CollectionNotFound, ModelMismatch."""
        collection = self._known.collection(region, collection_id)
        if collection is None:
            stamp = self._known.stamp()
            collection = await self._store.get(region, collection_id)
            self._known.keep_collection(collection, stamp)
        self.check_pack(collection)
        return collection

    def check_pack(self, collection: CollectionInfo) -> None:
        """Raises ModelMismatch."""
        if collection.model_version != self._info.model_version:
            raise ModelMismatch(
                f"collection {collection.collection_id} was made with pack {collection.pack} "
                f"(model {collection.model_version}), and pack {self._info.pack} (model "
                f"{self._info.model_version}) runs now; their faces cannot be compared. Run "
                f"pack {collection.pack} again, or index the pictures into a new collection."
            )

    async def search(
        self,
        collection: CollectionInfo,
        embeddings: Sequence[Embedding],
        threshold: float,
        limit: int,
        but_not: int | None = None,
    ) -> list[list[Match]]:
        """For each embedding the faces whose Similarity is at least the threshold, best first;
        but_not is the key of one that is left out. Raises CollectionNotFound."""
        if not embeddings:
            return []
        cosine_min = self._cosine(threshold) - _COSINE_SLACK
        began = perf_counter()
        found = await self._indexes.search_all(collection, embeddings, cosine_min, limit + 1)
        self.search_seconds.observe(perf_counter() - began)
        similar = [
            [
                (key, similarity)
                for key, cosine in nearest
                if key != but_not and (similarity := self.similarity(cosine)) >= threshold
            ][:limit]
            for nearest in found
        ]
        faces = await self._faces(collection, {key for part in similar for key, _ in part})
        return [
            [Match(faces[key], similarity) for key, similarity in part if key in faces]
            for part in similar
        ]

    def similarity(self, cosine: float) -> float:
        """0 to 100."""
        return self._similarity(max(-1.0, min(1.0, cosine)))

    async def _faces(
        self, collection: CollectionInfo, keys: Iterable[int]
    ) -> dict[int, IndexedFace]:
        """Those of the keys that are still there."""
        faces, missing = {}, []
        for key in keys:
            face = self._known.face(key)
            if face is None:
                missing.append(key)
            else:
                faces[key] = face
        if missing:
            stamp = self._known.stamp()
            read = await self._store.faces_by_key(collection, missing)
            self._known.keep_faces(collection, read, stamp)
            faces |= read
        return faces
