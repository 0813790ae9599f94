"""A collection as a stream processor sees it: what is wrong with it is for a person to mend.

Satisfies the FaceSearch port of processor/ without knowing it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from streamproc.errors import (
    CollectionNotFound,
    ModelMismatch,
    PermanentFailure,
    StoreDamaged,
    StoreUnavailable,
    TransientFailure,
)
from streamproc.model.face import Embedding, Match


@contextmanager
def permanent_failures() -> Iterator[None]:
    """Turn what no retry heals into the text of a FAILED processor's StatusMessage, and trouble
    of the disk into a TransientFailure."""
    try:
        yield
    except CollectionNotFound:
        raise PermanentFailure("Collection not found") from None  # the documented words
    except (ModelMismatch, StoreDamaged) as error:
        raise PermanentFailure(str(error)) from None
    except StoreUnavailable as error:
        raise TransientFailure(str(error)) from None


class ProcessorSearch:
    """One collection and one threshold, opened for a processor."""

    def __init__(
        self, search_all: Callable[[Sequence[Embedding]], Awaitable[list[list[Match]]]]
    ) -> None:
        self._search_all = search_all

    async def search(self, embedding: Embedding) -> list[Match]:
        """search_all() for one face."""
        [matches] = await self.search_all([embedding])
        return matches

    async def search_all(self, embeddings: Sequence[Embedding]) -> list[list[Match]]:
        """For each face of a picture every face at or above the threshold, best first.

        Raises PermanentFailure if the collection is gone, damaged or now of another pack,
        TransientFailure while its database cannot be read.
        """
        with permanent_failures():
            return await self._search_all(embeddings)
