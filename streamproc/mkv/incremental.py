"""The contract of everything that turns a Matroska stream in pieces into events.

Knows when an error is told; knows nothing of what the events are.
"""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from streamproc.errors import MkvError
from streamproc.mkv.ebml import Buffer
from streamproc.mkv.reader import ElementReader

T = TypeVar("T")


class Incremental(ABC, Generic[T]):
    """What FragmentParser and ProducerSplitter share: events out of bytes in any pieces.

    At broken structure, what stood before the break is delivered first: the call that meets it
    raises MkvError only if it has nothing to return, and otherwise the next call does. From
    then on every call raises. So any split of the input gives the same events.
    """

    def __init__(self, reader: ElementReader) -> None:
        self._reader = reader
        self._error: MkvError | None = None
        self._closed = False

    def feed(self, data: Buffer) -> list[T]:
        """Take the next bytes, as many or few as there are; return what they complete."""
        if self._closed:
            raise ValueError("feed() after close(): use a new parser for a new stream")
        self.check()
        events: list[T] = []
        try:
            self._take(data if isinstance(data, bytes) else bytes(data), events)
        except MkvError as error:
            self._error = error
            self._broken(events)
            if not events:
                raise
        return events

    def close(self) -> list[T]:
        """Say that the input is over; return what that completes."""
        self.check()
        if self._closed:
            return []
        self._closed = True
        events: list[T] = []
        self._end(events)
        return events

    def check(self) -> None:
        """Raise what broke behind the events that feed() returned last, if something did."""
        if self._error is not None:
            raise MkvError(*self._error.args)

    @abstractmethod
    def _take(self, data: bytes, events: list[T]) -> None: ...

    @abstractmethod
    def _end(self, events: list[T]) -> None: ...

    def _broken(self, events: list[T]) -> None:
        """Called once, when the structure broke: a last chance to add events."""
