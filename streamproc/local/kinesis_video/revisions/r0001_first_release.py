"""Video streams and the index of fragments, as first released. A file from before has them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "video_streams",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("retention_hours", sa.Integer(), nullable=False),
        sa.Column("device_name", sa.String(), nullable=True),
        sa.Column("media_type", sa.String(), nullable=True),
        sa.Column("kms_key_id", sa.String(), nullable=True),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("region", "name"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "video_fragments",
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("server_ms", sa.BigInteger(), nullable=False),
        sa.Column("producer_ms", sa.BigInteger(), nullable=False),
        sa.Column("length_ms", sa.BigInteger(), nullable=False),
        sa.Column("header_digest", sa.LargeBinary(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["video_streams.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("stream_id", "number"),
        if_not_exists=True,
    )
    op.create_index(
        "video_fragments_by_producer_time",
        "video_fragments",
        ["stream_id", "producer_ms"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "video_fragments_by_segment",
        "video_fragments",
        ["stream_id", "segment"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "video_fragments_by_server_time",
        "video_fragments",
        ["stream_id", "server_ms"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "video_headers",
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["video_streams.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("stream_id", "digest"),
        if_not_exists=True,
    )
    op.create_table(
        "video_stream_tags",
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["video_streams.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("stream_id", "key"),
        if_not_exists=True,
    )
