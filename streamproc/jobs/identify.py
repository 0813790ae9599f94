"""Whose faces the people of a clip have: one decision each, from all their frames.

Knows people's looks and a search by embedding; knows neither collections nor celebrities.

A frame-by-frame search says a name whenever a single picture reaches the threshold, so the
longer somebody stays the likelier an accident gets, and turned heads are missed in between.
Here a person is searched for with all that was seen, weighted by its evidence, in which the
noise of single pictures cancels; and with each look that at least two frames share, because
an enrolled picture may resemble one look and not the average of them. A lone frame of
somebody who was seen more often decides nothing.

What was not seen clearly (small, blurred or turned away throughout) has embeddings that
resemble everybody's of that kind, and no calibration holds for it: such evidence needs a
Similarity of at least UNCLEAR_SIMILARITY_MIN, whatever the threshold.

One picture cannot be of two people who stand side by side. If two who were in the clip at
the same time match the same candidate, the better match keeps it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamproc.jobs.appearance import Appearance, Look
from streamproc.jobs.people import Person
from streamproc.model.face import Embedding

UNCLEAR_SIMILARITY_MIN = 99.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[T]):
    """Somebody it could be."""

    id: str
    similarity: float  # 0 to 100
    what: T


Search = Callable[[Embedding, float], Awaitable[Sequence[Candidate[T]]]]
"""All candidates of at least this Similarity, best first."""


async def identify(
    people: Sequence[Person], search: Search[T], threshold: float
) -> list[list[Candidate[T]]]:
    """Who each of them is, best first; threshold is a Similarity. Raises what search raises."""
    found = [await _candidates(person.appearance, search, threshold) for person in people]
    claims = sorted(
        (-candidate.similarity, index, candidate.id)
        for index, candidates in enumerate(found)
        for candidate in candidates.values()
    )
    holders: dict[str, list[int]] = {}
    for _, index, id in claims:
        holding = holders.setdefault(id, [])
        if any(people[index].met(people[other]) for other in holding):
            del found[index][id]
        else:
            holding.append(index)
    return [
        sorted(candidates.values(), key=lambda candidate: (-candidate.similarity, candidate.id))
        for candidates in found
    ]


async def _candidates(
    appearance: Appearance, search: Search[T], threshold: float
) -> dict[str, Candidate[T]]:
    """Each by its id, at the best Similarity that anything reached."""
    best: dict[str, Candidate[T]] = {}
    for look in _deciding(appearance):
        bar = threshold if look.clear else max(threshold, UNCLEAR_SIMILARITY_MIN)
        for candidate in await search(look.embedding, bar):
            other = best.get(candidate.id)
            if other is None or candidate.similarity > other.similarity:
                best[candidate.id] = candidate
    return best


def _deciding(appearance: Appearance) -> Iterator[Look]:
    if appearance:
        yield appearance.whole()
    if len(appearance.looks) > 1:
        yield from (look for look in appearance.looks if look.frames > 1)
