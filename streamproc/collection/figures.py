"""What all collections come to."""

from dataclasses import dataclass

from streamproc.model.histogram import Buckets


@dataclass(frozen=True, slots=True)
class CollectionFigures:
    """All collections of all regions together, as they stood."""

    collections: int
    faces: int
    indexes: int  # in memory
    index_bytes: int  # theirs
    search_seconds: Buckets  # in the index, of one picture's faces at once; since the daemon began
