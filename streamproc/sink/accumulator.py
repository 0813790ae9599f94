"""What goes into the next PutRecords, and what may be called delivered. Sans-I/O.

Two rules keep the order. A batch holds at most one record of a partition key, and only the
oldest that is not acknowledged: PutRecords promises no order within a request, and where one
record fails those behind it are stored all the same, so two records of one key must never be
on their way together. And delivery is told by prefix: a record counts as delivered once
everything put before it is acknowledged too.

Knows counts, bytes and ages; knows nothing of Kinesis clients, clocks or retries.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from streamproc.model.record import Entry


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    records_max: int  # at least 1
    bytes_max: int  # a record larger than this travels alone
    wait_s: float  # a record waits this long for company


@dataclass(slots=True, eq=False)
class Item:
    """A record in the accumulator."""

    entry: Entry
    size: int
    added_at: float
    is_acknowledged: bool = False


def entry_bytes(entry: Entry) -> int:
    """Size by Kinesis' rule: data before base64, and the partition key in UTF-8."""
    return len(entry.data) + len(entry.partition_key.encode())


class Accumulator:
    """Every record that is not yet delivered, oldest first."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._items: deque[Item] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, entry: Entry, now: float) -> None:
        self._items.append(Item(entry, entry_bytes(entry), now))

    def due_in(self, now: float) -> float:
        """Seconds until the next batch should leave; 0 where no company can join it."""
        batch, is_full = self._cut()
        if is_full:
            return 0.0
        return max(0.0, min(item.added_at for item in batch) + self._policy.wait_s - now)

    def batch(self) -> list[Item]:
        """The next batch. It stays here until it is acknowledged; empty only if nothing is."""
        return self._cut()[0]

    def acknowledge(self, items: Iterable[Item]) -> list[Entry]:
        """Mark records as stored; return what is now delivered, in the order it was put."""
        for item in items:
            item.is_acknowledged = True
        delivered = []
        while self._items and self._items[0].is_acknowledged:
            delivered.append(self._items.popleft().entry)
        return delivered

    def _cut(self) -> tuple[list[Item], bool]:
        """The next batch, and whether nothing that comes later could join it."""
        batch: list[Item] = []
        keys: set[str] = set()
        total = 0
        for item in self._items:
            if item.is_acknowledged:
                continue
            total += item.size
            if item.entry.partition_key in keys or (batch and total > self._policy.bytes_max):
                return batch, True
            batch.append(item)
            keys.add(item.entry.partition_key)
            if len(batch) == self._policy.records_max:
                return batch, True
        return batch, total >= self._policy.bytes_max
