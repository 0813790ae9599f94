"""What a search answers with, in memory: collections as they are, and the faces found lately.

A face's row never changes and its key is never used again, so a row may be kept until its face
is deleted. A collection's row is good while the database's stamp is what it was before the row
was read. Bounded; knows no SQL.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
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
        self._faces: OrderedDict[int, IndexedFace] = OrderedDict()

    def stamp(self) -> tuple[int, ...]:
        """To be taken before a collection is read, and given with it."""
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
        face = self._faces.get(key)
        if face is not None:
            self._faces.move_to_end(key)
        return face

    def keep_face(self, key: int, face: IndexedFace) -> None:
        self._faces[key] = face
        if len(self._faces) > FACES_MAX:
            self._faces.popitem(last=False)

    def forget(self, keys: Iterable[int]) -> None:
        """Faces that are deleted, and what collections were before a change."""
        self._collections.clear()
        for key in keys:
            self._faces.pop(key, None)
