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

_DONE_KEPT = 16
"""How many fragments that are done with are remembered, for a service that delivers an older
one late."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a restart resumes, and what it must know to sample the same frames as if it had
    never stopped."""

    number: str  # of the last fragment that is done with
    sampled_at: float | None = None  # media time of the frame sampled last up to its end


@dataclass(slots=True)
class _Fragment:
    number: str
    in_flight: int = 0  # sampled frames without an acknowledged record
    ended: bool = False  # complete, or given up
    complete: bool = False
    drained: bool = False  # the decoder holds no more of it
    sampled_at: float | None = None  # media time of its newest sampled frame

    @property
    def done(self) -> bool:
        return self.ended and self.drained and not self.in_flight


class CheckpointTracker:
    """Told what happens, in order; position says where a restart may resume behind.

    advanced is called whenever position has changed. sampled_at is the media time of the frame
    that was sampled last before all this began.
    """

    def __init__(self, advanced: Callable[[], None], sampled_at: float | None = None) -> None:
        self.position: Checkpoint | None = None
        self._advanced = advanced
        self._sampled_at = sampled_at
        self._fragments: deque[_Fragment] = deque()
        self._unacknowledged: deque[_Fragment] = deque()
        self._done: deque[Checkpoint] = deque(maxlen=_DONE_KEPT)

    def started(self, number: str) -> None:
        """A fragment begins; the one before it, if it was cut off, was given up.

        The same number again is the same fragment, delivered from its start once more.
        """
        if self._fragments and not self._fragments[-1].ended:
            if self._fragments[-1].number == number:
                return
            self._fragments[-1].ended = True
        self._fragments.append(_Fragment(number))
        self._fall_back(number)
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

    def sampled(self, number: str, timestamp: float) -> None:
        """A frame of this fragment, at this media time, goes to analysis and will become one
        record."""
        known = (fragment for fragment in reversed(self._fragments) if fragment.number == number)
        # Broken timestamps may bring a frame after its fragment was done with.
        fragment = next(known, _Fragment(number))
        fragment.in_flight += 1
        fragment.sampled_at = timestamp
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
            if fragment.sampled_at is not None:
                self._sampled_at = fragment.sampled_at
            # A producer's own recording has no numbers, so nothing to resume behind.
            if fragment.complete and fragment.number:
                self.position = Checkpoint(fragment.number, self._sampled_at)
                self._done.append(self.position)
        if self.position != before:
            self._advanced()

    def _fall_back(self, number: str) -> None:
        """Resuming behind a later fragment would miss one that comes late. No restart asks for
        it by its place in the stream unless the checkpoint goes back before it."""
        if self.position is None or not _is_before(number, self.position.number):
            return
        older = [done for done in self._done if _is_before(done.number, number)]
        if older:
            self.position = older[-1]
            self._advanced()


def _is_before(number: str, other: str) -> bool:
    return number.isdecimal() and other.isdecimal() and int(number) < int(other)
