"""The accumulator keeps the order by what it lets travel together."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.model.record import Entry
from streamproc.sink.accumulator import Accumulator, BatchPolicy, Item, entry_bytes

ROOMY = BatchPolicy(records_max=500, bytes_max=5 * 1024 * 1024, wait_s=0.02)


def filled(entries: Sequence[Entry], policy: BatchPolicy = ROOMY, now: float = 0.0) -> Accumulator:
    accumulator = Accumulator(policy)
    for entry in entries:
        accumulator.add(entry, now)
    return accumulator


def entries_of(items: Sequence[Item]) -> list[Entry]:
    return [item.entry for item in items]


def distinct(count: int, size: int = 1) -> list[Entry]:
    return [Entry(b"x" * size, f"k{number:03}") for number in range(count)]


def test_two_records_of_one_key_never_travel_together() -> None:
    first, second, other = Entry(b"1", "cam"), Entry(b"2", "cam"), Entry(b"3", "door")
    accumulator = filled([first, second, other])
    assert entries_of(accumulator.batch()) == [first]
    accumulator.acknowledge(accumulator.batch())
    assert entries_of(accumulator.batch()) == [second, other]


def test_a_batch_stops_at_its_count() -> None:
    entries = distinct(5)
    accumulator = filled(entries, BatchPolicy(3, 10_000, 0.02))
    assert entries_of(accumulator.batch()) == entries[:3]


def test_a_batch_stops_at_its_bytes_with_keys_counted() -> None:
    entries = distinct(5, size=6)  # 6 of data, 4 of key
    assert entry_bytes(entries[0]) == 10
    assert entries_of(filled(entries, BatchPolicy(500, 30, 0.02)).batch()) == entries[:3]
    assert entries_of(filled(entries, BatchPolicy(500, 29, 0.02)).batch()) == entries[:2]


def test_keys_are_measured_in_utf8() -> None:
    assert entry_bytes(Entry(b"ab", "caméra")) == 2 + 7


def test_a_record_larger_than_a_batch_travels_alone() -> None:
    large = Entry(b"x" * 2000, "large")
    accumulator = filled([large, *distinct(2)], BatchPolicy(500, 1024, 0.02))
    assert entries_of(accumulator.batch()) == [large]


@pytest.mark.parametrize(
    ("entries", "due_in"),
    [
        pytest.param(distinct(1), 0.015, id="company may come"),
        pytest.param(distinct(3), 0.0, id="the count is reached"),
        pytest.param(distinct(1, size=100), 0.0, id="the bytes are reached"),
        pytest.param([Entry(b"", "cam"), Entry(b"", "cam")], 0.0, id="the next may not join"),
    ],
)
def test_a_record_waits_for_company_only_where_it_can_come(
    entries: list[Entry], due_in: float
) -> None:
    accumulator = filled(entries, BatchPolicy(3, 100, 0.02), now=10.0)
    assert accumulator.due_in(10.005) == pytest.approx(due_in)
    assert accumulator.due_in(10.5) == 0.0


def test_delivery_is_told_by_prefix() -> None:
    entries = distinct(3)
    accumulator = filled(entries)
    first, second, third = accumulator.batch()
    assert accumulator.acknowledge([second]) == []
    assert entries_of(accumulator.batch()) == [entries[0], entries[2]]
    assert accumulator.acknowledge([first]) == entries[:2]
    assert accumulator.acknowledge([third]) == entries[2:]
    assert len(accumulator) == 0


@given(
    keys=st.lists(st.sampled_from("abcdef"), max_size=30),
    choices=st.data(),
    records_max=st.integers(1, 8),
    bytes_max=st.integers(1, 20),
)
def test_whatever_is_refused_each_key_is_stored_in_order(
    keys: list[str], choices: st.DataObject, records_max: int, bytes_max: int
) -> None:
    entries = [Entry(bytes([number]), key) for number, key in enumerate(keys)]
    accumulator = filled(entries, BatchPolicy(records_max, bytes_max, 0.0))
    stored: list[Entry] = []
    delivered: list[Entry] = []
    while batch := accumulator.batch():
        kept = choices.draw(st.lists(st.sampled_from(batch), unique_by=id, min_size=1))
        stored += entries_of(kept)
        delivered += accumulator.acknowledge(kept)
        assert set(delivered) <= set(stored)
    assert delivered == entries
    for key in set(keys):
        assert [e for e in stored if e.partition_key == key] == [
            e for e in entries if e.partition_key == key
        ]
