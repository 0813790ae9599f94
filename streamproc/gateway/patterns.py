"""Patterns of AWS service models, which are Java's, as Python's.

Knows where the two languages differ; knows nothing of shapes. What has no exact translation
is refused when an operation is registered, not when a request comes. Source: the class
java.util.regex.Pattern.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import groupby

# Java's dot leaves out more line ends than Python's.
_DOT = r"[^\n\r\x85\u2028\u2029]"
# .*:kinesis:.*, in Python's language: a run of single characters between two dots.
_BETWEEN_DOTS = re.compile(
    rf"{re.escape(_DOT)}\*((?:(?:[a-z0-9:/,=_-]|\\[dw./-])(?:\{{\d+\}})?)+)(?={re.escape(_DOT)}[*+])",
    re.IGNORECASE,
)
# Escapes that mean the same in both, given that \d, \s and \w are ASCII (as in Java).
_SAME_ESCAPES = frozenset("dDwWsSbBtnrf")
_SAME_GROUPS = ("(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>")
_HEX_DIGITS = {"u": 4, "x": 2}
# Letters, numbers and separators live in these planes; the others hold only private use,
# variation selectors and nothing at all.
_PLANES = range(0x40000)


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern for fullmatch(). Raises ValueError if it cannot be translated."""
    try:
        return re.compile(_without_retries(translate(pattern)), re.ASCII)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} cannot be translated: {error}") from None


def require_translatable(pattern: str) -> None:
    """Raises ValueError where translate() does, in a fraction of the time: the characters of a
    category are looked up, and re compiles, when a text is first held against the pattern."""
    translate(pattern, lambda category, _negated: _require_known(category))


def translate(pattern: str, ranges: Callable[[str, bool], Iterable[str]] | None = None) -> str:
    """Java's pattern in Python's language. Raises ValueError where that is not possible.

    ranges gives the inside of a set for a category of characters, or for all others.
    """
    pieces: list[str] = []
    in_class = False
    at = 0
    while at < len(pattern):
        char = pattern[at]
        taken = 1
        if char == "\\":
            piece, taken = _translate_escape(pattern, at, in_class, ranges or _ranges)
        elif in_class:
            if char == "[" or pattern.startswith("&&", at):
                raise ValueError(f"pattern {pattern!r}: sets of sets are not supported")
            piece = char
            in_class = char != "]"
        elif char == "[":
            piece, in_class = char, True
        elif char == ".":
            piece = _DOT
        elif pattern.startswith("(?", at) and not pattern.startswith(_SAME_GROUPS, at):
            raise ValueError(f"pattern {pattern!r}: group at {at} is not supported")
        else:
            piece = char
        pieces.append(piece)
        at += taken
    return "".join(pieces)


def _without_retries(pattern: str) -> str:
    """The same language, without trying every way to divide a text among several .*

    What follows the run begins with a dot of its own, so the run's first place serves as
    well as any later one. Without this an ARN of 2048 characters can take seconds.
    """
    return _BETWEEN_DOTS.sub(lambda run: f"(?>{_DOT}*?{run[1]})", pattern)


def _translate_escape(
    pattern: str, at: int, in_class: bool, ranges: Callable[[str, bool], Iterable[str]]
) -> tuple[str, int]:
    """The piece for the escape at a place, and how many characters it covers."""
    letter = pattern[at + 1 : at + 2]
    if letter in _HEX_DIGITS:
        taken = 2 + _HEX_DIGITS[letter]
        return pattern[at : at + taken], taken
    if letter and letter in "pP":
        category = re.compile(r"\{(\w+)\}|(\w)").match(pattern, at + 2)
        if category is not None:
            inside = "".join(ranges(category[1] or category[2], letter == "P"))
            return (inside if in_class else f"[{inside}]"), category.end() - at
    elif letter in _SAME_ESCAPES or (letter and not letter.isalnum()):
        return pattern[at : at + 2], 2
    raise ValueError(f"pattern {pattern!r}: escape \\{letter} is not supported")


def _ranges(category: str, negated: bool) -> Iterator[str]:
    """The inside of a set: every character whose general category begins with this one."""
    _require_known(category)
    start = 0
    for first, last, name in _runs():
        if name.startswith(category):
            if not negated:
                yield _range(first, last)
            elif start < first:
                yield _range(start, first - 1)
            start = last + 1
    if negated:
        yield _range(start, 0x10FFFF)


def _require_known(category: str) -> tuple[str, ...]:
    if category[0] not in "LNZ":
        raise ValueError(f"category \\p{{{category}}} is not supported; L, N and Z are")
    return ()


def _range(first: int, last: int) -> str:
    return f"\\U{first:08x}" if first == last else f"\\U{first:08x}-\\U{last:08x}"


@cache
def _runs() -> tuple[tuple[int, int, str], ...]:
    """(first, last, category) of every run of characters of one general category."""
    runs = []
    first = 0
    for name, group in groupby(map(unicodedata.category, map(chr, _PLANES))):
        length = sum(1 for _ in group)
        runs.append((first, first + length - 1, name))
        first += length
    return tuple(runs)
