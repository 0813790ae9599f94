"""Faces that were deleted lately: a frame that was searched before brings none of them back.

Pure: fed with the time of a monotonic clock. Knows which matches are of no worth any more;
knows nothing of visits or pictures.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamproc.model.face import Face, Match

LISTED_MAX: Final = 10_000
"""Faces of a collection that are told apart; beyond, such a frame loses all its matches."""

Found = Sequence[tuple[Face, Sequence[Match]]]
_Collection = tuple[str, str]  # region, id


@dataclass(slots=True)
class _Deleted:
    """Of one collection: when."""

    last_at: float
    all_at: float = float("-inf")  # every face that it had then
    face_at: dict[str, float] = field(default_factory=dict)


class Deletions:
    """Of all collections."""

    def __init__(self) -> None:
        self._by_collection: dict[_Collection, _Deleted] = {}

    def note(
        self, region: str, collection_id: str, face_ids: Collection[str] | None, at: float
    ) -> None:
        """These faces of the collection, None for all that it has now, are deleted at this time."""
        deleted = self._by_collection.setdefault((region, collection_id), _Deleted(at))
        deleted.last_at = at
        if face_ids is not None:
            deleted.face_at.update(dict.fromkeys(face_ids, at))
        if face_ids is None or len(deleted.face_at) > LISTED_MAX:
            deleted.all_at = at
            deleted.face_at.clear()

    def without(self, region: str, collection_id: str, faces: Found, since: float) -> Found:
        """The faces of a frame that was not searched before since, without matches that may be of
        an earlier state of the collection."""
        deleted = self._by_collection.get((region, collection_id))
        if deleted is None or deleted.last_at < since:
            return faces
        if deleted.all_at >= since:
            return [(face, ()) for face, _ in faces]
        gone = {face_id for face_id, at in deleted.face_at.items() if at >= since}
        return [
            (face, [match for match in matches if match.face.face_id not in gone])
            for face, matches in faces
        ]

    def prune(self, before: float) -> None:
        """Forget collections of which nothing was deleted since."""
        for key, deleted in list(self._by_collection.items()):
            if deleted.last_at < before:
                del self._by_collection[key]
