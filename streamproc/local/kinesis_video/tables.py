"""The tables of the embedded Kinesis Video service. Knows columns, not what they are for."""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from streamproc.db import Revisions

METADATA = MetaData()
REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")


def _stream_id() -> Column[int]:
    owner = ForeignKey("video_streams.id", ondelete="CASCADE")
    return Column("stream_id", Integer, owner, primary_key=True, autoincrement=False)


STREAMS = Table(
    "video_streams",
    METADATA,
    # Never used again after a deletion: it names the stream's folder.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("version", String, nullable=False),
    Column("retention_hours", Integer, nullable=False),
    Column("device_name", String),
    Column("media_type", String),
    Column("kms_key_id", String),
    Column("blocks", BigInteger, nullable=False),  # of fragment numbers, reserved so far
    UniqueConstraint("region", "name"),
    sqlite_autoincrement=True,
)

TAGS = Table(
    "video_stream_tags",
    METADATA,
    _stream_id(),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

# What a session sent before its first Cluster, once for all its fragments.
HEADERS = Table(
    "video_headers",
    METADATA,
    _stream_id(),
    Column("digest", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

FRAGMENTS = Table(
    "video_fragments",
    METADATA,
    _stream_id(),
    Column("number", String, primary_key=True),  # text order is number order (numbers.py)
    Column("server_ms", BigInteger, nullable=False),
    Column("producer_ms", BigInteger, nullable=False),
    Column("length_ms", BigInteger, nullable=False),
    Column("header_digest", LargeBinary, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("video_fragments_by_segment", "stream_id", "segment"),
    Index("video_fragments_by_server_time", "stream_id", "server_ms"),
    Index("video_fragments_by_producer_time", "stream_id", "producer_ms"),
)
