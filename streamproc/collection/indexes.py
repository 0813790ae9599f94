"""The indexes of all collections: which are in memory, and that none is behind.

What grows past the bound of exact search, or shrinks below half of it, is changed in the
background: searches go on with the old index, changes of that one collection wait. The database
decides what exists; files that are damaged, of another collection or of none are removed, and
those that are behind catch up. An index that is no longer here lives as long as searches on it
do, its open files with it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from streamproc.aio import carried_through, of_its_own
from streamproc.collection.coded import CodedIndex
from streamproc.collection.face_changes import Change
from streamproc.collection.index import Index, Nearest
from streamproc.collection.index_files import IndexDamaged
from streamproc.collection.index_maker import IndexMaker
from streamproc.collection.schema import CollectionInfo
from streamproc.collection.store import CollectionStore
from streamproc.errors import CollectionNotFound, StoreDamaged, StoreUnavailable
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
        self._maker = IndexMaker(store, dimension, folder, exact_faces_max)
        self._bytes_max = bytes_max
        self._indexes: OrderedDict[int, Index] = OrderedDict()
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._making: dict[int, asyncio.Task[Index]] = {}
        self._changing: dict[int, asyncio.Task[None]] = {}
        self._catching_up: asyncio.Task[None] | None = None
        self._left: set[str] = set()  # stems of files that could not be removed
        self._is_closed = False

    async def open(self) -> None:
        """Remove files of nobody. Those that a crash has left behind catch up in the background,
        so that they lose what was deleted, whether or not anybody asks for them."""
        behind = []
        for stem in await asyncio.to_thread(self._maker.stems):
            collection = await self._store.by_key(int(stem)) if stem.isdecimal() else None
            try:
                if collection is None:
                    await self._sweep(stem)
                elif await self._maker.generation(collection) != collection.generation:
                    behind.append(collection)
            except (OSError, IndexDamaged) as error:
                assert collection is not None
                await self._discarded_or_told(collection, error)
            except StoreUnavailable as error:
                log.warning("%s", error)
        self._catching_up = asyncio.create_task(self._catch_up(behind))

    async def aclose(self) -> None:
        self._is_closed = True
        tasks: list[asyncio.Task[Any]] = [*self._making.values(), *self._changing.values()]
        if self._catching_up is not None:
            tasks.append(self._catching_up)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._indexes.clear()

    @property
    def held(self) -> tuple[int, int]:
        """How many indexes are in memory, and their bytes."""
        return len(self._indexes), sum(index.nbytes for index in self._indexes.values())

    def lock(self, collection: CollectionInfo) -> asyncio.Lock:
        """Changes of one collection queue here, so that indexes see them in order."""
        lock = self._locks.get(collection.key)
        if lock is None:
            lock = self._locks[collection.key] = asyncio.Lock()
        return lock

    async def of(self, collection: CollectionInfo) -> Index:
        """An index that is not behind what was read from the database. It is made once for all
        who wait for it, and to its end, whoever gives up.

        Raises CollectionNotFound, StoreUnavailable.
        """
        index = self._current(collection)
        while index is None or index.generation < collection.generation:
            making = self._making.get(collection.key)
            if making is None:
                making = of_its_own(self._make(collection))
                self._making[collection.key] = making
                making.add_done_callback(partial(self._is_made, collection.key))
            await asyncio.wait({making})
            if not making.cancelled():
                index = making.result()
            elif self._is_closed:
                raise StoreUnavailable("the collections are closed; start streamproc again")
        return index

    def abandon(self, collection: CollectionInfo) -> None:
        """It is about to be deleted: what is being made of it is not waited for."""
        making = self._making.get(collection.key)
        if making is not None:
            making.cancel()

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
        """The change that was made under the collection's lock, which is still held.

        Raises StoreUnavailable where what was deleted may be left in its files.
        """
        index = self._indexes.get(collection.key)
        if index is None:
            if change.removed:
                await self._opened(collection)
            return
        try:
            await carried_through(
                index.step, change.generation, add=change.added, remove=change.removed
            )
            if index.generation != change.generation and isinstance(index, CodedIndex):
                await self._maker.catch_up(collection, index)
        except (OSError, IndexDamaged) as error:
            # The database has the change; what cannot follow it is made again.
            await self.discard(collection, error)
            return
        self._trim()
        if self._maker.is_of_wrong_kind(index) and collection.key not in self._changing:
            task = of_its_own(self._change_kind(collection))
            self._changing[collection.key] = task
            task.add_done_callback(lambda _: self._changing.pop(collection.key, None))

    async def discard(self, collection: CollectionInfo, error: BaseException | None = None) -> None:
        """Its index and the files, where the collection is deleted or they are of no use.

        Raises StoreUnavailable where the files cannot be removed.
        """
        self._indexes.pop(collection.key, None)
        if error is not None:
            log.warning(
                "the index of collection %s is made again: %s", collection.collection_id, error
            )
        await self._sweep(str(collection.key))

    async def sweep_left(self) -> None:
        """Another attempt at what could not be removed. Raises StoreUnavailable."""
        for stem in sorted(self._left):
            await self._sweep(stem)

    async def _catch_up(self, behind: Sequence[CollectionInfo]) -> None:
        for collection in behind:
            async with self.lock(collection):
                if collection.key in self._indexes:
                    continue
                try:
                    await self._maker.opened(collection)  # and let go: nobody has asked for it
                except (OSError, IndexDamaged) as error:
                    await self._discarded_or_told(collection, error)
                except CollectionNotFound:
                    pass  # deleted meanwhile, its files too
                except (StoreUnavailable, StoreDamaged) as error:
                    log.warning(
                        "the index of collection %s is still behind: %s",
                        collection.collection_id, error,
                    )  # fmt: skip

    async def _discarded_or_told(self, collection: CollectionInfo, error: Exception) -> None:
        try:
            await self.discard(collection, error)
        except StoreUnavailable as failure:
            log.warning("%s", failure)

    def _current(self, collection: CollectionInfo) -> Index | None:
        index = self._indexes.get(collection.key)
        if index is None or index.generation < collection.generation:
            return None
        self._indexes.move_to_end(collection.key)
        return index

    async def _make(self, collection: CollectionInfo) -> Index:
        async with self.lock(collection):
            index = self._current(collection)  # a change may have brought it meanwhile
            if index is None:
                self._indexes.pop(collection.key, None)
                index = await self._opened(collection) or await self._built(collection)
            return index

    def _is_made(self, key: int, making: asyncio.Task[Index]) -> None:
        del self._making[key]
        if not making.cancelled():
            making.exception()  # whoever still waits hears of it, or who asks next meets it

    async def _opened(self, collection: CollectionInfo) -> Index | None:
        """From its files, if they are of use."""
        try:
            index = await self._maker.opened(collection)
        except (OSError, IndexDamaged) as error:
            await self.discard(collection, error)
            return None
        if index is not None:
            self._put(collection.key, index)
        return index

    async def _built(self, collection: CollectionInfo) -> Index:
        try:
            index = await self._maker.built(collection)
        except OSError as error:
            await self.discard(collection)
            raise StoreUnavailable(
                f"the index of a collection cannot be written ({error.strerror}); free space in "
                "the data folder, or raise faces.exact_faces_max"
            ) from error
        self._put(collection.key, index)
        return index

    async def _change_kind(self, collection: CollectionInfo) -> None:
        async with self.lock(collection):
            index = self._indexes.get(collection.key)
            if index is None or not self._maker.is_of_wrong_kind(index):
                return
            try:
                other = await self._maker.of_other_kind(collection, index)
            except (OSError, IndexDamaged) as error:
                if isinstance(index, CodedIndex):
                    await self._discarded_or_told(collection, error)
                    return
                log.warning(
                    "collection %s is still searched exactly, as the files of a quicker index "
                    "cannot be written: %s", collection.collection_id, error,
                )  # fmt: skip
                other = index
            self._put(collection.key, other)
            if not isinstance(other, CodedIndex):
                try:
                    await self._sweep(str(collection.key))
                except StoreUnavailable as error:
                    log.warning("%s", error)

    def _put(self, key: int, index: Index) -> None:
        if isinstance(index, CodedIndex):
            self._left.discard(str(key))  # they are its files now
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
                total -= self._indexes.pop(key).nbytes

    async def _sweep(self, stem: str) -> None:
        self._left.add(stem)
        try:
            await asyncio.to_thread(self._maker.sweep, stem)
        except OSError as error:
            raise StoreUnavailable(
                f"files of an index cannot be removed ({error}), and what was deleted may be left "
                "in them; see to the permissions and the disk of their folder, then delete again "
                "or restart streamproc"
            ) from error
        self._left.discard(stem)
