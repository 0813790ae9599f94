"""What tells whose the faces of one picture are: whom they look like, and who was just there.

Pure. Everybody against every face in a few array operations: in a crowd there are thousands of
pairs. Decides nothing; see following.py.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamproc.events.identity import Sighting, SimilarityOf, nearest
from streamproc.events.visit import FOLLOWED_S, Place, Visit

_REACH: Final = 0.8  # sides of a face within which somebody is expected in the next frame,
_REACH_PER_S: Final = 1.5  # and sides more for each second since,
_REACH_S_MAX: Final = 1.2  # but not for more than so many


class Evidence:
    """Of one picture, as things were before it."""

    def __init__(
        self,
        people: Sequence[Visit],
        sightings: Sequence[Sighting],
        at: float,
        size: tuple[int, int],
        similarity: SimilarityOf,
    ) -> None:
        """at: media time in seconds; size: the picture's width and height in pixels."""
        self._similarity = similarity
        self._near = _near(people, sightings, at, size)
        self._looks_known = [one for one in people if len(one.views)]
        self._rows = {one: row for row, one in enumerate(self._looks_known)}
        clear = [number for number, one in enumerate(sightings) if one.is_clear]
        self._columns = {number: column for column, number in enumerate(clear)}
        self._cosines = nearest(
            [one.views for one in self._looks_known],
            np.array([sightings[number].embedding for number in clear], np.float32),
        )

    def likeness(self, one: Visit, number: int) -> float | None:
        """Of a face, by its number, to whichever view of somebody is most alike: Similarity; None
        where there is nothing to tell."""
        row, column = self._rows.get(one), self._columns.get(number)
        if row is None or column is None:
            return None
        return self._similarity(float(self._cosines[row, column]))

    def alike(self, number: int, least: float) -> Iterator[Visit]:
        """Who looks like this face, by at least this Similarity."""
        column = self._columns.get(number)
        if column is None:
            return
        cosines = self._cosines[:, column]
        for row in np.argsort(-cosines):
            if self._similarity(float(cosines[row])) < least:
                return
            yield self._looks_known[row]

    def around(self, number: int) -> Collection[Visit]:
        """Whose the face may be by its place."""
        return self._near[number].keys()

    def near(self, one: Visit, number: int, taken: Collection[Place]) -> tuple[Place, float] | None:
        """Of the places where the face may be theirs the nearest that is not taken, and how far
        off it is: 0 to 1, of what they may have moved since."""
        free = [found for found in self._near[number].get(one, ()) if found[0] not in taken]
        return min(free, key=lambda found: found[1], default=None)


def _near(
    people: Sequence[Visit], sightings: Sequence[Sighting], at: float, size: tuple[int, int]
) -> list[dict[Visit, list[tuple[Place, float]]]]:
    """Of each face who may have moved there, from which places of theirs, and how far."""
    found: list[dict[Visit, list[tuple[Place, float]]]] = [{} for _ in sightings]
    left = [(one, place) for one in people for place in one.places if at - place.at <= FOLLOWED_S]
    if not left or not sightings:
        return found
    width, height = size
    there = np.array([place.edges for _, place in left]) * (width, height, width, height)
    elapsed = np.array([at - place.at for _, place in left])
    reach = _REACH + _REACH_PER_S * np.minimum(elapsed, _REACH_S_MAX)
    far = _apart(there, np.array([one.place for one in sightings])) / reach[:, None]
    for index, number in np.argwhere(far < 1.0).tolist():
        one, place = left[index]
        found[number].setdefault(one, []).append((place, float(far[index, number])))
    return found


def _apart(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ways from the middles of some places, (n, 4) edges, to those of others, (m, 4), in sides
    of the larger face: (n, m)."""
    ways = (some[:, None, :2] + some[:, None, 2:] - others[:, :2] - others[:, 2:]) / 2
    sides = np.maximum(_sides(some)[:, None], _sides(others))
    apart: NDArray[np.float64] = np.hypot(ways[..., 0], ways[..., 1]) / np.maximum(sides, 1e-6)
    return apart


def _sides(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of squares as large."""
    width, height = np.maximum(places[:, 2:] - places[:, :2], 0.0).T
    sides: NDArray[np.float64] = np.sqrt(width * height)
    return sides
