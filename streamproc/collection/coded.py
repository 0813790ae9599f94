"""The index of a large collection: codes propose, vectors decide.

A search asks the codes for the likeliest faces, a few hundred, reads the vectors of those and
compares them exactly; so quantisation may overlook somebody and never lets anybody in. It takes
more of them while a good part of what it took matches. What is promised is therefore the best
matches, not every last one near the threshold: benchmarks/search.py has the figures. Joins
codes.py and index_files.py, whose files are closed when nobody holds the index any more; like every
index it blocks and belongs on a thread.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from streamproc.collection.codes import Codes
from streamproc.collection.gate import Gate
from streamproc.collection.index import Nearest, best_first
from streamproc.collection.index_files import CHANGING, IndexDamaged, IndexFiles
from streamproc.model.face import Embedding

CANDIDATES: Final = 256
"""Faces compared exactly, at the least."""

_MATCHING_SHARE_MAX: Final = 0.25
_WIDER: Final = 4


class CodedIndex:
    """Implements Index, on files."""

    is_quick = False

    def __init__(self, stem: Path, identity: bytes, dimension: int) -> None:
        """stem: the files' path without suffix. Nothing is read or written yet."""
        self._codes = Codes(dimension)
        self._files = IndexFiles(
            stem, identity, dimension, self._codes.code_bytes, self._codes.centroids_size
        )
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._gate = Gate()
        self.generation = CHANGING

    @classmethod
    def opened(cls, stem: Path, identity: bytes, dimension: int) -> Self:
        """As it was left. Raises IndexDamaged if it cannot be believed, OSError."""
        index = cls(stem, identity, dimension)
        index.generation, centroids, keys, codes = index._files.open()
        index._codes.restore(centroids, codes)
        index._keys = keys
        return index

    @classmethod
    def generation_of(cls, stem: Path, identity: bytes, dimension: int) -> int:
        """What opened() would be at. Raises IndexDamaged, OSError."""
        return cls(stem, identity, dimension)._files.generation()

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def nbytes(self) -> int:
        return self._codes.nbytes + self._files.nbytes + self._keys.nbytes

    def keys(self) -> NDArray[np.int64]:
        """Of the faces it has, in no order."""
        return self._keys[: len(self)].copy()

    def load(self, keys: Sequence[int], vectors: NDArray[np.float32], generation: int) -> None:
        """The first part is what the codes learn from. Raises OSError."""
        if len(self) == 0:
            self._codes.train(vectors)
            self._files.create(self._codes.centroids)
        self._add(keys, vectors)
        self.generation = generation

    def complete(self) -> None:
        """Raises OSError."""
        self._files.state(self.generation, len(self))

    def step(
        self,
        generation: int,
        *,
        add: Sequence[tuple[int, Embedding]] = (),
        remove: Sequence[int] = (),
    ) -> None:
        """What is removed is gone from the disk when this returns.

        Raises OSError, IndexDamaged; the index is of no use then.
        """
        if generation != self.generation + 1:
            return
        keys, vectors = zip(*add, strict=True) if add else ((), ())
        self.change(generation, keys, np.stack(vectors) if add else None, remove)

    def change(
        self,
        generation: int,
        keys: Sequence[int],
        vectors: NDArray[np.float32] | None,
        remove: Sequence[int],
    ) -> None:
        """As step(), from whatever generation it is at."""
        with self._gate.writing():
            self.generation = CHANGING
            self._files.state(CHANGING, len(self))
            if len(remove):
                self._remove(remove)
            if vectors is not None:
                self._add(keys, vectors)
            self.generation = generation
        if len(remove):
            self._files.sync()
        self._files.state(generation, len(self))

    def search_all(
        self, embeddings: Sequence[Embedding], cosine_min: float, limit: int
    ) -> list[Nearest]:
        """Raises IndexDamaged, OSError."""
        with self._gate.reading():
            self._require_whole()
            return [self._search(embedding, cosine_min, limit) for embedding in embeddings]

    def everything(self) -> tuple[list[int], NDArray[np.float32]]:
        """Raises IndexDamaged, OSError."""
        with self._gate.reading():
            self._require_whole()
            count = len(self)
            return self._keys[:count].tolist(), self._files.rows(np.arange(count))

    def _require_whole(self) -> None:
        """A change that failed half-way may have left a vector under another face's key."""
        if self.generation == CHANGING:
            raise IndexDamaged("a change of it failed")

    def _search(self, embedding: Embedding, cosine_min: float, limit: int) -> Nearest:
        count = min(CANDIDATES, len(self))
        while count:
            places = self._codes.nearest(embedding, count)
            cosines = np.einsum("ij,j->i", self._files.rows(places), embedding)
            near = cosines >= np.float32(cosine_min)
            matching = int(np.count_nonzero(near))
            enough = matching <= count * _MATCHING_SHARE_MAX or count >= _WIDER * limit
            if enough or count == len(self):
                return best_first(self._keys[places[near]], cosines[near], limit)
            count = min(_WIDER * count, len(self))
        return []

    def _add(self, keys: Sequence[int], vectors: NDArray[np.float32]) -> None:
        place = len(self)
        codes = self._codes.add(vectors)
        end = len(self)
        if end > len(self._keys):
            self._keys = np.concatenate(
                [self._keys, np.empty(max(end // 4, end - place), np.int64)]
            )
        self._keys[place:end] = keys
        self._files.write(place, keys, codes, vectors)

    def _remove(self, keys: Sequence[int]) -> None:
        end = len(self)
        places = np.flatnonzero(np.isin(self._keys[:end], np.asarray(keys, np.int64)))
        for place in places[::-1].tolist():  # from behind: what moves is none of those to go
            last = len(self) - 1
            vector = self._files.rows(np.asarray([last]))
            code = self._codes.move_last(place)
            if place != last:
                self._keys[place] = self._keys[last]
                self._files.write(place, self._keys[place : place + 1], code[np.newaxis], vector)
        self._files.erase(len(self), end)
