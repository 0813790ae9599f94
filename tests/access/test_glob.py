"""IAM's wildcards, against a matcher that is slow and plain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.access.glob import Glob


def slowly(pattern: str, text: str) -> bool:
    """What * and ? mean, word for word: a table of which starts match which starts."""
    starts = [True] + [False] * len(text)  # starts[n]: the pattern so far is text[:n]
    for character in pattern:
        if character == "*":
            for end in range(1, len(text) + 1):
                starts[end] = starts[end] or starts[end - 1]
        else:
            starts = [False] + [
                starts[end] and character in ("?", text[end]) for end in range(len(text))
            ]
    return starts[-1]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("?", "", False),
        ("", "", True),
        ("", "a", False),
        ("stream/cam", "stream/cam", True),
        ("stream/cam", "stream/camera", False),
        ("stream/cam*", "stream/cam/1", True),
        ("stream/*/1", "stream/a/b/1", True),
        ("arn:*:stream/cam", "arn:aws:kinesis:x:1:stream/cam", True),
        ("c?m", "cam", True),
        ("c?m", "cm", False),
        ("c?m", "c/m", True),
        ("*a*b*c", "xxaxxbxxc", True),
        ("*a*b*c", "xxaxxbxxcx", False),
        ("a**b", "ab", True),
        ("[a]", "a", False),
        ("CAM", "cam", False),
        ("a.c", "abc", False),
    ],
)
def test_a_star_is_anything_and_a_question_mark_is_one(
    pattern: str, text: str, expected: bool
) -> None:
    assert Glob(pattern).matches(text) is expected
    assert slowly(pattern, text) is expected


@given(st.text("ab*?:/", max_size=12), st.text("ab*?:/", max_size=14))
def test_any_pattern_means_what_it_says(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) is slowly(pattern, text)


@pytest.mark.parametrize(
    "pattern", ["*a" * 1000 + "b", "*?a" * 600 + "b", "a*" * 1000 + "b", "?*" * 1000 + "b"]
)
def test_a_pattern_made_to_take_for_ever_does_not(pattern: str) -> None:
    # Going back, any of these would take longer than the universe has.
    assert not Glob(pattern).matches("a" * 2000)
    assert Glob(pattern).matches("a" * 2000 + "b")
