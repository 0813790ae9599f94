"""Data streams, their shards, and which shard a record goes to.

Values and arithmetic on 128-bit hash keys; knows neither SQL nor HTTP.
"""

import hashlib
from dataclasses import dataclass, field

from streamproc.model.arn import data_stream_arn

HASH_KEYS = 2**128


@dataclass(slots=True, eq=False)
class Shard:
    """An append-only log. Positions count from 1, in the order of commits, and never repeat."""

    key: int  # in the database; never used again after the stream is gone
    index: int  # within the stream
    last_position: int  # of the newest record on disk; 0 before the first

    @property
    def shard_id(self) -> str:
        return f"shardId-{self.index:012d}"


@dataclass(slots=True, eq=False)
class Stream:
    """One data stream as the service knows it; the database holds the same."""

    id: int
    region: str
    account_id: str
    name: str
    created_ms: int  # since the epoch
    mode: str  # PROVISIONED or ON_DEMAND
    retention_hours: int
    record_bytes_max: int  # data and partition key together
    tags: dict[str, str]
    shards: list[Shard] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return data_stream_arn(self.region, self.account_id, self.name)

    def shard(self, shard_id: str) -> Shard | None:
        return next((shard for shard in self.shards if shard.shard_id == shard_id), None)

    def shard_of(self, hash_key: int) -> Shard:
        """The shard whose range holds a hash key of 0 to 2**128 - 1."""
        width = HASH_KEYS // len(self.shards)
        return self.shards[min(hash_key // width, len(self.shards) - 1)]

    def hash_key_range(self, shard: Shard) -> tuple[int, int]:
        """First and last hash key of a shard. Equal shares; the last shard has the remainder."""
        width = HASH_KEYS // len(self.shards)
        is_last = shard.index == len(self.shards) - 1
        return shard.index * width, HASH_KEYS - 1 if is_last else (shard.index + 1) * width - 1


def hash_key(partition_key: str) -> int:
    """MD5 of the UTF-8 key as a big-endian number. Source: PutRecord, PartitionKey."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")
