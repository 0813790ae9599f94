"""What a line of the log is about, beside what it says: a processor, a camera, a request.

Set once where the work begins, it holds for everything that is awaited in it and for the tasks
that are created in it. Knows nothing of how lines look: logs.py puts it into those for machines.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NOTHING)


@contextmanager
def about(**members: str | None) -> Iterator[None]:
    """Within the block, lines are about this too: about(region="us-east-1", processor="door").

    None takes a member back: what a request has begun and outlives it is no part of it.
    """
    merged = {**_ABOUT.get(), **members}
    token = _ABOUT.set({key: value for key, value in merged.items() if value is not None})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def log_context() -> Mapping[str, str]:
    """What a line that is written now is about."""
    return _ABOUT.get()
