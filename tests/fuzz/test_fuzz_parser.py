"""A short run of the parsers' fuzzer, and every input that it ever found something with."""

from random import Random

import pytest

from streamproc.mkv.fragments import FragmentParser
from tests.fuzz import parser
from tests.fuzz.mutate import elements
from tests.mkv.documents import collect


def test_no_bytes_are_too_much_for_the_parsers() -> None:
    tally = parser.fuzz(seed=4, inputs=4000, seconds=600.0)
    assert not tally.findings, tally.findings
    assert tally.inputs == 4000
    assert min(tally.accepted, tally.refused.total()) > 300


@pytest.mark.parametrize("index", range(len(parser.corpus())))
def test_the_corpus_is_sound(index: int) -> None:
    document = parser.corpus()[index]
    _, error = collect(FragmentParser(), [document])
    assert not error
    parser.check(document, Random(1))
    assert len(elements(document)) > 5


def test_a_seed_makes_the_same_inputs_again() -> None:
    assert parser.an_input(Random("4:1")) == parser.an_input(Random("4:1"))
