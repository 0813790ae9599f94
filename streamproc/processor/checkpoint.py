"""How far a processor's records have safely come, in fragments.

Pure. A fragment may become the checkpoint once it is complete, no more frames of it can come
out of the decoder, and the data stream has acknowledged the record of every frame of it that
was sampled. Fragments before it must have got there too, or must have been given up by the
source: cut off, and not delivered again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice


@dataclass(slots=True)
class _Fragment:
    number: str
    in_flight: int = 0  # sampled frames without an acknowledged record
    ended: bool = False  # complete, or given up
    complete: bool = False
    drained: bool = False  # the decoder holds no more of it

    @property
    def done(self) -> bool:
        return self.ended and self.drained and not self.in_flight


class CheckpointTracker:
    """Told what happens, in order; position says where a restart may resume behind.

    advanced is called whenever position has changed.
    """

    def __init__(self, advanced: Callable[[], None]) -> None:
        self.position: str | None = None
        self._advanced = advanced
        self._fragments: deque[_Fragment] = deque()
        self._unacknowledged: deque[_Fragment] = deque()

    def started(self, number: str) -> None:
        """A fragment begins; the one before it, if it was cut off, was given up.

        The same number again is the same fragment, delivered from its start once more.
        """
        if self._fragments and not self._fragments[-1].ended:
            if self._fragments[-1].number == number:
                return
            self._fragments[-1].ended = True
        self._fragments.append(_Fragment(number))
        self._advance()

    def completed(self, number: str) -> None:
        """The source has delivered the whole of the fragment that started last."""
        if self._fragments and self._fragments[-1].number == number:
            self._fragments[-1].ended = self._fragments[-1].complete = True
            self._advance()

    def decoded(self, number: str) -> None:
        """A frame of this fragment came out of the decoder, so all before it have come."""
        numbers = [fragment.number for fragment in self._fragments]
        if number in numbers:
            newest = len(numbers) - 1 - numbers[::-1].index(number)
            for fragment in islice(self._fragments, newest):
                fragment.drained = True
            self._advance()

    def drained(self) -> None:
        """The decoder was emptied."""
        for fragment in self._fragments:
            fragment.drained = fragment.ended
        self._advance()

    def sampled(self, number: str) -> None:
        """A frame of this fragment goes to analysis and will become one record."""
        known = (fragment for fragment in reversed(self._fragments) if fragment.number == number)
        # Broken timestamps may bring a frame after its fragment was done with.
        fragment = next(known, _Fragment(number))
        fragment.in_flight += 1
        self._unacknowledged.append(fragment)

    def acknowledged(self, count: int) -> None:
        """The data stream has the records of the oldest count frames."""
        for _ in range(count):
            self._unacknowledged.popleft().in_flight -= 1
        self._advance()

    def _advance(self) -> None:
        before = self.position
        while self._fragments and self._fragments[0].done:
            fragment = self._fragments.popleft()
            # A producer's own recording has no numbers, so nothing to resume behind.
            if fragment.complete and fragment.number:
                self.position = fragment.number
        if self.position != before:
            self._advanced()
