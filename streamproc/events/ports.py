"""What an outlet needs: a log that it has a place in, and a target that takes events.

Knows neither how events come about nor how they travel.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from streamproc.errors import StreamprocError
from streamproc.model.event import Event


class NotTaken(StreamprocError):
    """The other side is away, or did not take an event; tried again. The text is for people."""

    def __init__(self, message: str, *, is_slow: bool = False) -> None:
        """is_slow: a person has to see to it, so it is tried again after a minute or two."""
        super().__init__(message)
        self.is_slow = is_slow


class Refused(StreamprocError):
    """The other side has said for good that it does not want this event: it is passed over."""


class CursoredLog(Protocol):
    """What outlets need of the event log; each may raise StoreUnavailable."""

    @property
    def newest_id(self) -> int:
        """0 while it is empty."""
        ...

    async def read(self, after: int, limit: int) -> Sequence[Event]:
        """Those behind the id after, in order."""
        ...

    async def wait_beyond(self, event_id: int) -> None:
        """Return when there is something newer."""
        ...

    async def cursor(self, name: str) -> int | None: ...

    async def move(self, name: str, event_id: int) -> None: ...


class Session(Protocol):
    """A target that is reached. Whatever it does may raise NotTaken, which ends the session."""

    async def attend(self) -> None:
        """Runs beside all deliveries, and raises NotTaken when the other side has gone."""
        ...

    async def deliver(self, event: Event) -> None:
        """Return when the other side has it. Raises Refused."""
        ...


class Target(Protocol):
    """Where an outlet leads."""

    @property
    def kind(self) -> str: ...

    @property
    def connects(self) -> bool:
        """Whether open() reaches the other side; if not, a delivery does."""
        ...

    def wants(self, event: Event) -> bool: ...

    def open(self) -> AbstractAsyncContextManager[Session]:
        """Prepare for deliveries. Raises NotTaken."""
        ...
