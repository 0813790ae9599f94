"""Sequence numbers: what a record is called within its stream.

186 bits, printed as 56 decimal digits like the ones of AWS. From the top: the number 2, when
the stream was made (seconds), which stream and shard, the position in the shard, when the
record arrived, a version. The position stands before the time, so the order holds whatever
the clock does; the stream stands before the position, so a number of a deleted stream is not
mistaken for one of its successor.
"""

from dataclasses import dataclass
from typing import Self

from streamproc.local.kinesis_data.shards import Shard, Stream

_LEAD, _VERSION = 2, 2
_CREATED, _STREAM, _SHARD, _POSITION, _ARRIVAL, _VERSION_BITS = 36, 16, 20, 56, 48, 8


@dataclass(frozen=True, slots=True)
class SequenceNumber:
    created_s: int
    stream: int  # lowest 16 bits of the stream's id
    shard: int  # index
    position: int
    arrival_ms: int

    @classmethod
    def of(cls, stream: Stream, shard: Shard, position: int, arrival_ms: int) -> Self:
        created_s = stream.created_ms // 1000
        return cls(created_s, stream.id % 2**_STREAM, shard.index, position, arrival_ms)

    @classmethod
    def first_of(cls, stream: Stream, shard: Shard) -> Self:
        """StartingSequenceNumber of the shard: no record has it, every record comes after."""
        return cls.of(stream, shard, 0, stream.created_ms)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError if the digits are not of our making."""
        number = int(text)
        number, version = divmod(number, 2**_VERSION_BITS)
        number, arrival_ms = divmod(number, 2**_ARRIVAL)
        number, position = divmod(number, 2**_POSITION)
        number, shard = divmod(number, 2**_SHARD)
        number, stream = divmod(number, 2**_STREAM)
        lead, created_s = divmod(number, 2**_CREATED)
        if (lead, version) != (_LEAD, _VERSION):
            raise ValueError(f"{text} is not a sequence number of this service")
        return cls(created_s, stream, shard, position, arrival_ms)

    def is_of(self, stream: Stream, shard: Shard) -> bool:
        """Whether this is the shard's starting number, or was given to a record in it."""
        start = self.first_of(stream, shard)
        return (self.created_s, self.stream, self.shard) == (
            start.created_s,
            start.stream,
            start.shard,
        ) and self.position <= shard.last_position

    def __str__(self) -> str:
        number = _LEAD
        for bits, part in (
            (_CREATED, self.created_s),
            (_STREAM, self.stream),
            (_SHARD, self.shard),
            (_POSITION, self.position),
            (_ARRIVAL, self.arrival_ms),
            (_VERSION_BITS, _VERSION),
        ):
            number = number << bits | part
        return str(number)
