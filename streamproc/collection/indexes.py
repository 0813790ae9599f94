"""The indexes of all collections: which kind each has, and that none is behind.

Up to exact_faces_max faces a collection is searched exactly, by an index in memory that is read
from the database; beyond that through codes, whose files lie beside the database. What grows past
the bound, or shrinks below half of it, is changed in the background: searches go on with the old
index, changes of that one collection wait. The database decides what exists; files that are
damaged, of another collection or of none are removed, and those that are behind catch up.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from streamproc.collection.coded import CodedIndex
from streamproc.collection.index import Index, Nearest, VectorIndex
from streamproc.collection.index_files import IndexDamaged
from streamproc.collection.schema import CollectionInfo, not_found
from streamproc.collection.store import Change, CollectionStore
from streamproc.errors import StoreUnavailable
from streamproc.model.face import Embedding

log = logging.getLogger(__name__)

_ATTEMPTS_MAX = 3


class Indexes:
    """Indexes in memory within a budget: the one used longest ago goes first."""

    def __init__(
        self,
        store: CollectionStore,
        dimension: int,
        folder: Path,
        *,
        bytes_max: int,
        exact_faces_max: int,
    ) -> None:
        """folder: for the files of large indexes; made when the first one is."""
        self._store = store
        self._dimension = dimension
        self._folder = folder
        self._bytes_max = bytes_max
        self._exact_faces_max = exact_faces_max
        self._indexes: OrderedDict[int, Index] = OrderedDict()
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._changing: dict[int, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Remove files of nobody; let those catch up that a crash has left behind, so that they
        lose what was deleted."""
        left = {path.stem for path in self._folder.glob("*.*")} if self._folder.is_dir() else set()
        for stem in sorted(left):
            collection = await self._store.by_key(int(stem)) if stem.isdecimal() else None
            if collection is None:
                await asyncio.to_thread(self._sweep, stem)
                continue
            try:
                generation = await asyncio.to_thread(
                    CodedIndex.generation_of, *self._files_of(collection)
                )
            except (OSError, IndexDamaged) as error:
                await self.discard(collection, error)
                continue
            if generation != collection.generation:
                async with self.lock(collection):
                    await self._load(collection)

    async def aclose(self) -> None:
        for task in self._changing.values():
            task.cancel()
        if self._changing:
            await asyncio.wait(self._changing.values())
        for key, index in list(self._indexes.items()):
            async with self._locks.get(key) or asyncio.Lock():
                index.close()
        self._indexes.clear()

    def lock(self, collection: CollectionInfo) -> asyncio.Lock:
        """Changes of one collection queue here, so that indexes see them in order."""
        lock = self._locks.get(collection.key)
        if lock is None:
            lock = self._locks[collection.key] = asyncio.Lock()
        return lock

    async def of(self, collection: CollectionInfo) -> Index:
        """An index that is not behind what was read from the database.

        Raises CollectionNotFound, StoreUnavailable.
        """
        index = self._current(collection)
        if index is None:
            async with self.lock(collection):
                index = self._current(collection)  # someone else may have made it meanwhile
                if index is None:
                    index = await self._made(collection)
        return index

    async def search_all(
        self,
        collection: CollectionInfo,
        embeddings: Sequence[Embedding],
        cosine_min: float,
        limit: int,
    ) -> list[Nearest]:
        """See Index.search_all(). Raises CollectionNotFound, StoreUnavailable."""
        for _ in range(_ATTEMPTS_MAX):
            index = await self.of(collection)
            if index.is_quick:
                return index.search_all(embeddings, cosine_min, limit)
            try:
                return await asyncio.to_thread(index.search_all, embeddings, cosine_min, limit)
            except (OSError, IndexDamaged) as error:
                async with self.lock(collection):
                    if self._indexes.get(collection.key) is index:
                        await self.discard(collection, error)
        raise StoreUnavailable(
            f"the index of collection {collection.collection_id} was made {_ATTEMPTS_MAX} times "
            "and its files did not keep what was written; check the disk of the data folder"
        )

    async def follow(self, collection: CollectionInfo, change: Change) -> None:
        """The change that was made under the collection's lock, which is still held."""
        index = self._indexes.get(collection.key)
        if index is None:
            if change.removed:
                await self._load(collection)
            return
        try:
            await carried_through(
                index.step, change.generation, add=change.added, remove=change.removed
            )
            if index.generation != change.generation and isinstance(index, CodedIndex):
                await self._catch_up(collection, index)
        except (OSError, IndexDamaged) as error:
            # The database has the change; what cannot follow it is made again.
            await self.discard(collection, error)
            return
        self._trim()
        if self._is_of_wrong_kind(index) and collection.key not in self._changing:
            task = asyncio.create_task(self._change_kind(collection))
            self._changing[collection.key] = task
            task.add_done_callback(lambda _: self._changing.pop(collection.key, None))

    async def discard(self, collection: CollectionInfo, error: BaseException | None = None) -> None:
        """Its index and the files, where the collection is deleted or they are of no use."""
        index = self._indexes.pop(collection.key, None)
        if index is not None:
            index.close()
        if error is not None:
            log.warning(
                "the index of collection %s is made again: %s", collection.collection_id, error
            )
        await asyncio.to_thread(self._sweep, str(collection.key))

    def _current(self, collection: CollectionInfo) -> Index | None:
        index = self._indexes.get(collection.key)
        if index is None or index.generation < collection.generation:
            return None
        self._indexes.move_to_end(collection.key)
        return index

    async def _made(self, collection: CollectionInfo) -> Index:
        """From its files, else from the database."""
        behind = self._indexes.pop(collection.key, None)
        if behind is not None:
            behind.close()
        opened = await self._load(collection)
        if opened is not None:
            return opened
        index = self._new(collection, collection.face_count)
        try:
            # Closed here and now: a caller that leaves half-way keeps no connection.
            async with aclosing(self._store.vectors.of(collection)) as parts:
                async for generation, keys, vectors in parts:
                    await carried_through(index.load, keys, vectors, generation)
            await carried_through(index.complete)
        except OSError as error:
            await self.discard(collection)
            raise _unavailable(error) from error
        self._put(collection.key, index)
        return index

    async def _load(self, collection: CollectionInfo) -> CodedIndex | None:
        """The index that its files hold, no longer behind; None if there are none of use."""
        files = self._files_of(collection)
        if not await asyncio.to_thread(files[0].with_suffix(".codes").exists):
            return None
        try:
            index = await asyncio.to_thread(CodedIndex.opened, *files)
            await self._catch_up(collection, index)
        except (OSError, IndexDamaged) as error:
            await self.discard(collection, error)
            return None
        self._put(collection.key, index)
        return index

    async def _catch_up(self, collection: CollectionInfo, index: CodedIndex) -> None:
        newest = await self._store.by_key(collection.key)
        if newest is None:
            raise not_found(collection.collection_id)
        if newest.generation == index.generation:
            return
        generation, keys = await self._store.vectors.keys(collection)
        had = index.keys()
        missing = np.setdiff1d(keys, had).tolist()
        vectors = await self._store.vectors.some(missing) if missing else None
        gone = np.setdiff1d(had, keys).tolist()
        await carried_through(index.change, generation, missing, vectors, gone)

    async def _change_kind(self, collection: CollectionInfo) -> None:
        async with self.lock(collection):
            index = self._indexes.get(collection.key)
            if index is None or not self._is_of_wrong_kind(index):
                return
            other = self._new(collection, len(index))
            try:
                await carried_through(_copy, index, other)
            except (OSError, IndexDamaged) as error:
                if isinstance(index, CodedIndex):
                    await self.discard(collection, error)
                    return
                log.warning(
                    "collection %s is still searched exactly, as the files of a quicker index "
                    "cannot be written: %s", collection.collection_id, error,
                )  # fmt: skip
                other.close()
                await asyncio.to_thread(self._sweep, str(collection.key))
                return
            self._indexes[collection.key] = other
            index.close()
            if isinstance(index, CodedIndex):
                await asyncio.to_thread(self._sweep, str(collection.key))

    def _new(self, collection: CollectionInfo, count: int) -> Index:
        if count <= self._exact_faces_max:
            return VectorIndex(self._dimension)
        return CodedIndex(*self._files_of(collection))

    def _is_of_wrong_kind(self, index: Index) -> bool:
        if isinstance(index, CodedIndex):
            return len(index) < self._exact_faces_max // 2
        return len(index) > self._exact_faces_max

    def _put(self, key: int, index: Index) -> None:
        self._indexes[key] = index
        self._indexes.move_to_end(key)
        self._trim()

    def _trim(self) -> None:
        """Keep within the budget; the index used last stays, however large it is."""
        total = sum(index.nbytes for index in self._indexes.values())
        for key in list(self._indexes)[:-1]:
            if total <= self._bytes_max:
                return
            lock = self._locks.get(key)
            if lock is None or not lock.locked():  # else it is being changed
                index = self._indexes.pop(key)
                total -= index.nbytes
                index.close()

    def _files_of(self, collection: CollectionInfo) -> tuple[Path, bytes, int]:
        """Stem, identity and dimension."""
        parts = (collection.key, collection.arn, collection.created_at, collection.model_version)
        identity = hashlib.sha256(repr(parts).encode()).digest()[:16]
        return self._folder / str(collection.key), identity, self._dimension

    def _sweep(self, stem: str) -> None:
        for suffix in (".codes", ".vectors"):
            (self._folder / stem).with_suffix(suffix).unlink(missing_ok=True)


async def carried_through(work: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """On a thread, to its end: a thread cannot be cancelled, and nobody may close under it what it
    writes to. A cancellation that came meanwhile is raised then."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # what it came to shows at the next search
        raise cancelled
    task.result()


def _copy(one: Index, other: Index) -> None:
    keys, vectors = one.everything()
    other.load(keys, vectors, one.generation)
    other.complete()


def _unavailable(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"the index of a collection cannot be written ({error.strerror}); free space in the data "
        "folder, or raise faces.exact_faces_max"
    )
