"""What a search answers with, in memory: collections as they are, and the faces found lately.

A face's row never changes and its key is never used again, so a row may be kept until its face
is deleted. A collection's row is good while the database's stamp is what it was before the row
was read. What was read before a deletion and comes after it is not kept. Bounded; knows no SQL.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from streamproc.collection.schema import CollectionInfo
from streamproc.model.face import IndexedFace

FACES_MAX: Final = 32_768
"""About half a kilobyte each."""

_COLLECTIONS_MAX: Final = 4096


class Known:
    def __init__(self, stamp: Callable[[], tuple[int, ...]]) -> None:
        """stamp: another one after every commit."""
        self._stamp = stamp
        self._stamped: tuple[int, ...] = ()
        self._collections: dict[tuple[str, str], CollectionInfo] = {}
        self._faces: OrderedDict[int, tuple[int, IndexedFace]] = OrderedDict()  # and whose it is

    def stamp(self) -> tuple[int, ...]:
        """To be taken before anything is read, and given with it."""
        return self._stamp()

    def collection(self, region: str, collection_id: str) -> CollectionInfo | None:
        if self._collections and self._stamp() != self._stamped:
            self._collections.clear()
        return self._collections.get((region, collection_id))

    def keep_collection(self, collection: CollectionInfo, stamp: tuple[int, ...]) -> None:
        if stamp != self._stamped or len(self._collections) == _COLLECTIONS_MAX:
            self._collections.clear()
        self._stamped = stamp
        self._collections[collection.region, collection.collection_id] = collection

    def face(self, key: int) -> IndexedFace | None:
        if key not in self._faces:
            return None
        self._faces.move_to_end(key)
        return self._faces[key][1]

    def keep_faces(
        self,
        collection: CollectionInfo,
        faces: Mapping[int, IndexedFace],
        stamp: tuple[int, ...],
    ) -> None:
        """Unless something has been committed since the stamp was taken: it may have deleted
        them, and nobody would forget them again."""
        if not faces or stamp != self._stamp():
            return
        for key, face in faces.items():
            self._faces[key] = collection.key, face
        while len(self._faces) > FACES_MAX:
            self._faces.popitem(last=False)

    def forget(self, keys: Iterable[int] = ()) -> None:
        """Faces that are deleted, and what collections were before a change."""
        self._collections.clear()
        for key in keys:
            self._faces.pop(key, None)

    def forget_all_of(self, collection: CollectionInfo) -> None:
        """A collection that is deleted."""
        self.forget([key for key, (whose, _) in self._faces.items() if whose == collection.key])
