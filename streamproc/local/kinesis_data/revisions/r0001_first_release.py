"""Data streams and records, as first released. A file from before lacks some of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "orphan",
        sa.Column("shard_key", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("shard_key"),
        if_not_exists=True,
    )
    op.create_table(
        "record",
        sa.Column("shard_key", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("arrival_ms", sa.Integer(), nullable=False),
        sa.Column("partition_key", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard_key", "position"),
        if_not_exists=True,
    )
    op.create_index(
        "record_arrival",
        "record",
        ["shard_key", "arrival_ms", "position"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "secret",
        sa.Column("value", sa.LargeBinary(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "stream",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("retention_hours", sa.Integer(), nullable=False),
        sa.Column("record_bytes_max", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("region", "name"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "shard",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("last_position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["stream.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("stream_id", "number"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
