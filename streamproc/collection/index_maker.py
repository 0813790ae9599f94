"""Indexes from what is kept of them: their files where these are of use, else the database.

Up to exact_faces_max faces an index is exact and in memory; beyond that it has codes and files.
Whatever is read from the database comes in parts of bounded memory, and of large indexes one is
built at a time. Knows which files an index has; knows nothing of which indexes are in memory, nor
of who waits for one.
"""

import asyncio
import hashlib
from contextlib import aclosing
from pathlib import Path
from typing import Final

import numpy as np

from streamproc.aio import carried_through
from streamproc.collection.coded import CodedIndex
from streamproc.collection.index import Index, VectorIndex
from streamproc.collection.schema import CollectionInfo, not_found
from streamproc.collection.store import CollectionStore

PART_FACES: Final = 8192
"""Faces whose vectors are in memory at once while an index catches up."""

_SUFFIXES: Final = (".codes", ".vectors")


class IndexMaker:
    """The caller holds the collection's lock; see Indexes.lock()."""

    def __init__(
        self, store: CollectionStore, dimension: int, folder: Path, exact_faces_max: int
    ) -> None:
        """folder: for the files of large indexes; made when the first one is."""
        self._store = store
        self._dimension = dimension
        self._folder = folder
        self._exact_faces_max = exact_faces_max
        self._building = asyncio.Lock()

    def stems(self) -> list[str]:
        """Of the files there are: keys of collections, or whatever somebody has put there."""
        if not self._folder.is_dir():
            return []
        return sorted({path.stem for path in self._folder.glob("*.*")})

    def sweep(self, stem: str) -> None:
        """Remove files. Blocks. Raises OSError."""
        for suffix in _SUFFIXES:
            (self._folder / stem).with_suffix(suffix).unlink(missing_ok=True)

    async def generation(self, collection: CollectionInfo) -> int:
        """That its files are at. Raises IndexDamaged, OSError."""
        return await asyncio.to_thread(CodedIndex.generation_of, *self._files_of(collection))

    async def opened(self, collection: CollectionInfo) -> CodedIndex | None:
        """The index that its files hold, no longer behind; None if it has none.

        Raises IndexDamaged, OSError, CollectionNotFound.
        """
        files = self._files_of(collection)
        if not await asyncio.to_thread(files[0].with_suffix(_SUFFIXES[0]).exists):
            return None
        index = await asyncio.to_thread(CodedIndex.opened, *files)
        await self.catch_up(collection, index)
        return index

    async def catch_up(self, collection: CollectionInfo, index: CodedIndex) -> None:
        """Raises IndexDamaged, OSError, CollectionNotFound."""
        newest = await self._store.by_key(collection.key)
        if newest is None:
            raise not_found(collection.collection_id)
        if newest.generation == index.generation:
            return
        behind = index.generation  # until all is done: what a crash cuts short begins again
        generation, keys = await self._store.vectors.keys(collection)
        had = index.keys()
        gone, missing = np.setdiff1d(had, keys), np.setdiff1d(keys, had)
        await carried_through(index.change, behind, [], None, gone)
        for start in range(0, len(missing), PART_FACES):
            part = missing[start : start + PART_FACES].tolist()
            there, vectors = await self._store.vectors.some(part)
            await carried_through(index.change, behind, there, vectors, [])
        await carried_through(index.change, generation, [], None, [])

    async def built(self, collection: CollectionInfo) -> Index:
        """From the database. Raises CollectionNotFound, OSError."""
        index = self._new(collection, collection.face_count)
        if not isinstance(index, CodedIndex):
            return await self._filled(index, collection)
        async with self._building:  # its parts take memory, and its reading a connection
            return await self._filled(index, collection)

    async def of_other_kind(self, collection: CollectionInfo, index: Index) -> Index:
        """The same faces. Raises IndexDamaged, OSError."""
        other = self._new(collection, len(index))
        await carried_through(_copy, index, other)
        return other

    def is_of_wrong_kind(self, index: Index) -> bool:
        if isinstance(index, CodedIndex):
            return len(index) < self._exact_faces_max // 2
        return len(index) > self._exact_faces_max

    async def _filled(self, index: Index, collection: CollectionInfo) -> Index:
        # Closed here and now: a build that is ended half-way keeps no connection.
        async with aclosing(self._store.vectors.of(collection)) as parts:
            async for generation, keys, vectors in parts:
                await carried_through(index.load, keys, vectors, generation)
        await carried_through(index.complete)
        return index

    def _new(self, collection: CollectionInfo, count: int) -> Index:
        if count <= self._exact_faces_max:
            return VectorIndex(self._dimension)
        return CodedIndex(*self._files_of(collection))

    def _files_of(self, collection: CollectionInfo) -> tuple[Path, bytes, int]:
        """Stem, identity and dimension."""
        parts = (collection.key, collection.arn, collection.created_at, collection.model_version)
        identity = hashlib.sha256(repr(parts).encode()).digest()[:16]
        return self._folder / str(collection.key), identity, self._dimension


def _copy(one: Index, other: Index) -> None:
    keys, vectors = one.everything()
    other.load(keys, vectors, one.generation)
    other.complete()
