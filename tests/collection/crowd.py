"""Embeddings of a crowd: people as directions, photos around them, always the same."""

import numpy as np
from numpy.typing import NDArray

CROWD_DIMENSION = 32


def people(count: int, seed: int = 1) -> NDArray[np.float32]:
    """Unit vectors of shape (count, CROWD_DIMENSION)."""
    chance = np.random.default_rng(seed)
    return _unit(chance.standard_normal((count, CROWD_DIMENSION)).astype(np.float32))


def photos(whom: NDArray[np.float32], seed: int = 2) -> NDArray[np.float32]:
    """One of each person, at a cosine of about 0.8."""
    return _unit(0.8 * whom + 0.6 * people(len(whom), seed))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths
