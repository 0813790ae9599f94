import re
import time
import unicodedata

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from streamproc.gateway.patterns import compile_pattern, require_translatable, translate
from streamproc.gateway.validate import PATTERN_CHARS_MAX

SERVICES = (
    "rekognition",
    "kinesis",
    "kinesisvideo",
    "kinesis-video-media",
    "kinesis-video-archived-media",
)
TAG_KEY = r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$"
CONSUMER_ARN = (
    r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+"
)
ARN_PARTS = [
    *(":kinesis:", ":kinesis", "kinesis:", ":123456789012:", "123456789012", ":"),
    *("stream/", "a", "/consumer/", ":1", "\n", "\u2028", " "),
]


def model_patterns() -> dict[str, int]:
    """Every pattern, with the longest text that it is ever applied to."""
    loader = Loader()
    shapes = (
        shape
        for service in SERVICES
        for shape in loader.load_service_model(service, "service-2")["shapes"].values()
    )
    patterns: dict[str, int] = {}
    for shape in shapes:
        if pattern := shape.get("pattern"):
            length_max = shape.get("max", PATTERN_CHARS_MAX)
            patterns[pattern] = max(length_max, patterns.get(pattern, 0))
    return patterns


def matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).fullmatch(text) is not None


def test_every_pattern_of_every_service_compiles() -> None:
    patterns = model_patterns()
    assert len(patterns) > 50
    for pattern in patterns:
        assert compile_pattern(pattern).fullmatch("\x00 no model wants this \x00") is None or (
            pattern in (".*", "[^:*]*", ".+", r"[^\n]{11,100}", r".*\S.*", ".{1,}")
        )


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("[a-zA-Z0-9_.-]+", ["front-door.1"], ["", "a b", "a/b", "naïve", "a\n"]),
        ("^[a-zA-Z0-9-_]+$", ["a-b_c"], ["a.b", "a\n"]),
        (TAG_KEY, ["", "Straße 7", "チーム", "a\u00a0b", "½"], ["aws:x", "a\n", "a;b", "😀"]),
        (r"\S*", ["", "x"], [" "]),
        (r"\d{12}", ["000000000000"], ["٠" * 12]),  # digits of other scripts are no digits here
        (r"[\u0009\u000A\u000D\u0020-\u00FF]+", ["a\tÿ"], ["Ā"]),
        (".+", ["a"], ["a\u2028b", "a\rb", "a\u0085b", ""]),
        (r"^\{.*\}$", ["{}"], ["{}\n"]),
        (r"\P{L}", ["1", "\U0010ffff"], ["a", "ж"]),
        (r"\p{Lu}+", ["ÀA"], ["a"]),
        (r"[^\p{L}]", ["1"], ["a"]),
        (r"a\.b\[c", ["a.b[c"], ["axb[c"]),
    ],
)
def test_a_pattern_means_what_it_means_in_java(
    pattern: str, good: list[str], bad: list[str]
) -> None:
    assert [text for text in good if not matches(pattern, text)] == []
    assert [text for text in bad if matches(pattern, text)] == []


def test_categories_are_those_of_unicode_for_every_character() -> None:
    letter, separator, number = (compile_pattern(rf"\p{{{name}}}") for name in "LZN")
    for code in range(0, 0x110000, 13):
        char = chr(code)
        category = unicodedata.category(char)[0]
        assert (letter.fullmatch(char) is not None) == (category == "L")
        assert (separator.fullmatch(char) is not None) == (category == "Z")
        assert (number.fullmatch(char) is not None) == (category == "N")


@pytest.mark.parametrize(
    "pattern",
    ["[a-z&&[^b]]", r"\p{Alpha}", r"\h", r"(?i)a", r"(?<name>a)", r"\Qa\E", "[a", "\\", r"\p"],
)
def test_what_has_no_translation_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"not supported|cannot be translated"):
        compile_pattern(pattern)


def test_registration_refuses_what_is_not_supported_and_nothing_else() -> None:
    for pattern in ("[a-z&&[^b]]", r"\p{Alpha}", r"\h", r"(?i)a", r"\Qa\E"):
        with pytest.raises(ValueError, match="not supported"):
            require_translatable(pattern)
    for pattern in model_patterns():
        require_translatable(pattern)


def test_python_never_sees_a_construct_it_would_warn_of() -> None:
    # FutureWarning is an error in these tests; re caches, so compile afresh.
    for pattern in model_patterns():
        re.compile(translate(pattern) + "(?:)", re.ASCII)


@pytest.mark.parametrize("pattern", ["arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+", CONSUMER_ARN])
@given(parts=st.lists(st.sampled_from(ARN_PARTS), max_size=12))
def test_a_pattern_without_retries_is_the_same_language(pattern: str, parts: list[str]) -> None:
    text = "arn:aws" + "".join(parts)
    assert matches(pattern, text) == (re.fullmatch(pattern, text, re.ASCII) is not None)


@pytest.mark.parametrize(("pattern", "length_max"), model_patterns().items())
def test_no_pattern_takes_long_over_a_hostile_text(pattern: str, length_max: int) -> None:
    compiled = compile_pattern(pattern)
    tails = ["\n", "*"]
    bodies = [
        "a",
        "a-",
        "a/",
        "0.",
        "a:",
        "a/a,",
        ":000000000000",
        ":kinesis",
        ":kinesis:000000000000:stream/a/consumer/a",
    ]
    texts = [
        (start + body * 4096)[: length_max - 1] + tail
        for start in ("", "arn:aws", "arn:aws:sns:", "arn:aws:kinesis:us-east-1:000000000000:")
        for body in bodies
        for tail in tails
    ]
    shares = length_max // 36
    mixed = ":kinesis" * shares + ":000000000000" * shares + ":" + "stream/a" * shares
    for text in [*texts, ("arn:aws" + mixed)[: length_max - 1] + "\n"]:
        began = time.process_time()
        compiled.fullmatch(text)
        assert time.process_time() - began < 0.5, text[:200]
