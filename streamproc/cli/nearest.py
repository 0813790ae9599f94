"""What somebody may have meant by a name that does not exist. Pure."""

from collections.abc import Sequence
from difflib import get_close_matches

from streamproc.errors import StreamprocError

_SHOWN = 3
_ALIKE = 0.7  # of difflib's ratio


def unknown(kind: str, name: str, existing: Sequence[str], otherwise: str) -> StreamprocError:
    """The error to be raised: the nearest names that exist, else all where they are few; where
    there is none, otherwise says what to do."""
    line = f"there is no {kind} {name}"
    if not existing:
        return StreamprocError(f"{line}, nor any other; {otherwise}")
    by_lower = {each.lower(): each for each in existing}
    near = get_close_matches(name.lower(), by_lower, n=_SHOWN, cutoff=_ALIKE)
    if near:
        return StreamprocError(
            f"{line}; did you mean {_either([by_lower[each] for each in near])}?"
        )
    if len(existing) <= _SHOWN:
        return StreamprocError(f"{line}; there is {' and '.join(existing)}")
    return StreamprocError(f"{line}; {otherwise}")


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
