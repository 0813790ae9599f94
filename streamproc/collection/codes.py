"""Vectors as a few bytes each, and which codes resemble a query: product quantisation.

A vector is cut into parts, and each part is named by the nearest of sixteen centroids, four
bits. FAISS compares a query with 32 such codes at a time in registers ("fast scan", after André,
Kermarrec and Le Scouarnec, "Quicker ADC", 2019), which is far quicker than reading vectors. What
comes out is an order of likelihood, not a cosine: whoever asks takes many and compares them
exactly. All in memory; knows no keys and no files. Blocks; not safe beside a change.
"""

from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from streamproc.model.face import Embedding

PARTS_MAX: Final = 64
"""32 bytes for a code: a search through a million reads 32 MB. Fewer are quicker and find as many
best matches, and fewer of those behind (docs/performance.md)."""

SAMPLE_MAX: Final = 4096
"""Vectors that centroids are learned from: sixteen per part need no more."""

_ROUNDS: Final = 10
_CENTROIDS: Final = 16  # of each part: what four bits can name


class Codes:
    """Codes in their places 0, 1, 2, …, the last of which is free to go."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        part = -(-dimension // PARTS_MAX)
        parts = -(-dimension // part)
        self._padded = part * parts  # zeros behind a vector change no product
        index: Any = faiss.IndexPQFastScan(self._padded, parts, 4, faiss.METRIC_INNER_PRODUCT)
        self._faiss = index
        self._packer = self._faiss.get_CodePacker()
        self.code_bytes = int(self._faiss.pq.code_size)
        self.centroids_size = _CENTROIDS * self._padded

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return int(self._faiss.codes.size()) + 4 * self.centroids_size

    @property
    def centroids(self) -> NDArray[np.float32]:
        """Of shape (centroids_size,)."""
        learned: NDArray[np.float32] = faiss.vector_to_array(self._faiss.pq.centroids)
        return learned

    def train(self, vectors: NDArray[np.float32]) -> None:
        """Learn the centroids from these, or from SAMPLE_MAX of them."""
        sample = vectors[:: max(1, -(-len(vectors) // SAMPLE_MAX))]
        if len(sample) < _CENTROIDS:
            sample = np.resize(sample, (_CENTROIDS, self._dimension))
        clustering = self._faiss.pq.cp
        clustering.niter = _ROUNDS
        clustering.min_points_per_centroid = 1  # or it warns on standard error
        clustering.max_points_per_centroid = SAMPLE_MAX
        faiss.omp_set_num_threads(1)
        self._faiss.train(self._pad(sample))

    def restore(self, centroids: NDArray[np.float32], codes: NDArray[np.uint8]) -> None:
        """As they were; codes has shape (n, code_bytes)."""
        plain: Any = faiss.IndexPQ(self._padded, self._faiss.pq.M, 4, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(centroids, plain.pq.centroids)
        faiss.copy_array_to_vector(codes.ravel(), plain.codes)
        plain.ntotal = len(codes)
        plain.is_trained = True
        self._faiss = faiss.IndexPQFastScan(plain)

    def add(self, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Their codes, of shape (n, code_bytes), in the next places."""
        faiss.omp_set_num_threads(1)
        padded = self._pad(vectors)
        self._faiss.add(padded)
        codes: NDArray[np.uint8] = self._faiss.pq.compute_codes(padded)
        return codes

    def move_last(self, place: int) -> NDArray[np.uint8]:
        """The last code goes to this place, over what was there; there is one place less.
        Returns that code."""
        last = len(self) - 1
        code: NDArray[np.uint8] = self._packer.unpack_1(*self._block(last))
        self._pack(code, place)
        # FAISS adds by setting bits: what it calls empty has to be.
        self._pack(np.zeros_like(code), last)
        self._faiss.ntotal = last
        return code

    def nearest(self, embedding: Embedding, count: int) -> NDArray[np.int64]:
        """The places of the likeliest, at most count, in no promised order."""
        faiss.omp_set_num_threads(1)  # of this thread's calls: others would spin while they wait
        _, found = self._faiss.search(self._pad(embedding[np.newaxis]), count)
        places: NDArray[np.int64] = found[0][found[0] >= 0]
        short = min(count, len(self)) - len(places)
        if short:
            # It leaves out what has the lowest score of all, be it that all have the same.
            others = np.setdiff1d(np.arange(len(self)), places)
            places = np.concatenate([places, others[:short]])
        return places

    def _pad(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._padded == self._dimension:
            return np.ascontiguousarray(vectors)
        return np.pad(vectors, ((0, 0), (0, self._padded - self._dimension)))

    def _pack(self, code: NDArray[np.uint8], place: int) -> None:
        block, within = self._block(place)
        self._packer.pack_1(code, within, block)

    def _block(self, place: int) -> tuple[NDArray[np.uint8], int]:
        """The block that a place is in, as FAISS's own memory, good until it next grows; and
        which of the block's codes it is."""
        codes, size = self._faiss.codes, self._packer.block_size
        memory: NDArray[np.uint8] = faiss.rev_swig_ptr(codes.get(), codes.size())
        block, within = divmod(place, self._packer.nvec)
        return memory[block * size : (block + 1) * size].reshape(1, size), within
