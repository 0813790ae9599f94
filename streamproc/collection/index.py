"""The exact index: every vector of one collection in memory, compared with every one.

For collections small enough that this is quickest (coded.py has the others). Nothing here is
ever saved. An index carries the generation of the collection it mirrors; whoever finds it
behind throws it away and builds another. Everything that touches FAISS blocks, without the
interpreter's lock, and belongs on a thread unless is_quick. FAISS allows concurrent searches
but no change beside them (its wiki, "Threads and asynchronous calls"); the gate sees to that,
so a caller that is cancelled half-way harms nothing.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from streamproc.collection.gate import Gate
from streamproc.model.face import Embedding

Nearest: TypeAlias = list[tuple[int, float]]
"""(key, cosine), best first; ties in the order of their keys."""

_QUICK_COMPONENTS = 1 << 17
"""A search over this many is done in less time than a thread takes to be woken."""


class Index(Protocol):
    """The embeddings of one collection at one generation, by the key of their row."""

    generation: int

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether a search may run on the event loop."""
        ...

    def load(self, keys: Sequence[int], vectors: NDArray[np.float32], generation: int) -> None:
        """One part of what an index is filled with that nobody searches yet; vectors has shape
        (len(keys), dimension)."""
        ...

    def complete(self) -> None:
        """Every part is loaded."""
        ...

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
        ...

    def search_all(
        self, embeddings: Sequence[Embedding], cosine_min: float, limit: int
    ) -> list[Nearest]:
        """For each embedding its nearest vectors at or above cosine_min."""
        ...

    def everything(self) -> tuple[list[int], NDArray[np.float32]]:
        """Keys and vectors, for an index of another kind; of shape (n,) and (n, dimension)."""
        ...


class VectorIndex:
    """Implements Index: float32, exhaustive, exact."""

    def __init__(self, dimension: int) -> None:
        self._flat = faiss.IndexFlatIP(dimension)
        self._faiss = faiss.IndexIDMap2(self._flat)
        self._gate = Gate()
        self._dimension = dimension
        self.is_quick = True
        self.generation = -1  # of no collection, until step() or load() is told one

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    @property
    def nbytes(self) -> int:
        """The vectors, and about 40 bytes each for the two id maps."""
        return len(self) * (4 * self._dimension + 40)

    def load(self, keys: Sequence[int], vectors: NDArray[np.float32], generation: int) -> None:
        if len(keys):
            self._faiss.add_with_ids(vectors, np.asarray(keys, np.int64))
        self._changed(generation)

    def complete(self) -> None:
        pass

    def step(
        self,
        generation: int,
        *,
        add: Sequence[tuple[int, Embedding]] = (),
        remove: Sequence[int] = (),
    ) -> None:
        with self._gate.writing():
            if generation != self.generation + 1:
                return
            if remove:
                self._remove(remove)
            if add:
                keys, vectors = zip(*add, strict=True)
                self._faiss.add_with_ids(np.stack(vectors), np.asarray(keys, np.int64))
            self._changed(generation)

    def search_all(
        self, embeddings: Sequence[Embedding], cosine_min: float, limit: int
    ) -> list[Nearest]:
        # FAISS returns what is above the radius, not what lies on it.
        radius = float(np.nextafter(np.float32(cosine_min), np.float32(-np.inf)))
        faiss.omp_set_num_threads(1)  # of this thread's calls: others would spin while they wait
        with self._gate.reading():
            ends, cosines, keys = self._faiss.range_search(np.stack(embeddings), radius)
        parts = [slice(int(ends[i]), int(ends[i + 1])) for i in range(len(embeddings))]
        return [best_first(keys[part], cosines[part], limit) for part in parts]

    def everything(self) -> tuple[list[int], NDArray[np.float32]]:
        with self._gate.reading():
            keys = faiss.vector_to_array(self._faiss.id_map).tolist()
            return keys, self._stored().copy()

    def _changed(self, generation: int) -> None:
        self.generation = generation
        self.is_quick = len(self) * self._dimension <= _QUICK_COMPONENTS

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


def best_first(keys: NDArray[np.int64], cosines: NDArray[np.float32], limit: int) -> Nearest:
    """At most limit of them."""
    best = np.lexsort((keys, -cosines))[:limit]
    return list(zip(keys[best].tolist(), cosines[best].tolist(), strict=True))
