"""What is known of a whole is laid into each of its parts."""

from streamproc.jobs.merge import merged


def test_members_of_both_are_there() -> None:
    body = {"Person": {"Face": {"Confidence": 99.0}}}
    more = {"Person": {"Index": 3}, "FaceMatches": []}
    assert merged(body, more) == {
        "Person": {"Face": {"Confidence": 99.0}, "Index": 3},
        "FaceMatches": [],
    }


def test_what_is_judged_at_the_end_counts() -> None:
    assert merged({"A": 1, "B": {"C": 1}, "D": {"E": 1}}, {"A": 2, "B": {"C": 2}, "D": 3}) == {
        "A": 2,
        "B": {"C": 2},
        "D": 3,
    }


def test_neither_is_changed() -> None:
    body, more = {"Person": {"Face": {"N": 0}}}, {"Person": {"Index": 1}}
    merged(body, more)["Person"]["Extra"] = True
    assert (body, more) == ({"Person": {"Face": {"N": 0}}}, {"Person": {"Index": 1}})
