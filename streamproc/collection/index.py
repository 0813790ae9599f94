"""FAISS as a cache of what the database knows: one index in memory per collection.

Nothing here is ever saved. An index carries the generation of the collection it mirrors;
whoever finds it behind throws it away and builds another. Everything that touches FAISS
blocks, without the interpreter's lock, and belongs on a thread. FAISS allows concurrent
searches but no change beside them (its wiki, "Threads and asynchronous calls"); the gate
below sees to that, so a caller that is cancelled half-way harms nothing.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from streamproc.model.face import Embedding


class _Gate:
    """Many readers or one writer; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers = 0  # waiting or at work
        self._writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._writers == 0)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._changed:
            self._writers += 1
            self._changed.wait_for(lambda: not self._writing and self._readers == 0)
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writers -= 1
                self._writing = False
                self._changed.notify_all()


class VectorIndex:
    """The embeddings of one collection at one generation, by the key of their row."""

    def __init__(self, dimension: int) -> None:
        self._flat = faiss.IndexFlatIP(dimension)
        self._faiss = faiss.IndexIDMap2(self._flat)
        self._gate = _Gate()
        self._dimension = dimension
        self.generation = -1  # of no collection, until step() or load() is told one

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    @property
    def nbytes(self) -> int:
        """Memory in bytes: the vectors, and about 40 bytes each for the two id maps."""
        return len(self) * (4 * self._dimension + 40)

    def load(self, keys: Sequence[int], vectors: NDArray[np.float32], generation: int) -> None:
        """Fill an index that nobody searches yet; vectors has shape (len(keys), dimension)."""
        if len(keys):
            self._faiss.add_with_ids(vectors, np.asarray(keys, np.int64))
        self.generation = generation

    def step(
        self,
        generation: int,
        *,
        add: Sequence[tuple[int, Embedding]] = (),
        remove: Sequence[int] = (),
    ) -> None:
        """Follow one change of the collection, the one that made this generation.

        A step whose predecessor was missed is ignored: the index stays behind, which the
        next search notices.
        """
        with self._gate.writing():
            if generation != self.generation + 1:
                return
            if remove:
                self._remove(remove)
            if add:
                keys, vectors = zip(*add, strict=True)
                self._faiss.add_with_ids(np.stack(vectors), np.asarray(keys, np.int64))
            self.generation = generation

    def _remove(self, keys: Sequence[int]) -> None:
        # FAISS moves the rest together and leaves what stood behind it in memory as it was.
        stored = self._stored()
        self._faiss.remove_ids(faiss.IDSelectorBatch(np.asarray(keys, np.int64)))
        stored[len(self) :] = 0.0

    def _stored(self) -> NDArray[np.float32]:
        """FAISS's own memory, of shape (len(self), dimension), good until it next grows."""
        size = len(self) * self._dimension
        vectors: NDArray[np.float32] = faiss.rev_swig_ptr(self._flat.get_xb(), size)
        return vectors.reshape(len(self), self._dimension)

    def search(
        self, embedding: Embedding, cosine_min: float, limit: int
    ) -> list[tuple[int, float]]:
        """(key, cosine) of the nearest vectors at or above cosine_min, best first.

        Ties are in the order of their keys.
        """
        # FAISS returns what is above the radius, not what lies on it.
        radius = float(np.nextafter(np.float32(cosine_min), np.float32(-np.inf)))
        with self._gate.reading():
            _, cosines, keys = self._faiss.range_search(embedding[np.newaxis], radius)
        best = np.lexsort((keys, -cosines))[:limit]
        return [(int(keys[i]), float(cosines[i])) for i in best]


class IndexCache:
    """The indexes in memory, within a budget: the one used longest ago goes first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._indexes: OrderedDict[int, VectorIndex] = OrderedDict()

    def get(self, collection: int) -> VectorIndex | None:
        index = self._indexes.get(collection)
        if index is not None:
            self._indexes.move_to_end(collection)
        return index

    def put(self, collection: int, index: VectorIndex) -> None:
        self._indexes[collection] = index
        self._indexes.move_to_end(collection)
        self.trim()

    def discard(self, collection: int) -> None:
        self._indexes.pop(collection, None)

    def trim(self) -> None:
        """Keep within the budget; the index used last stays, however large it is."""
        total = sum(index.nbytes for index in self._indexes.values())
        while total > self._bytes_max and len(self._indexes) > 1:
            _, oldest = self._indexes.popitem(last=False)
            total -= oldest.nbytes
