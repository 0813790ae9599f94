"""Jobs, their results and notices, as first released. A file from before lacks some of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(precision=53), nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("video", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("model_version", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("region", "kind", "token"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("jobs_by_end", "jobs", ["finished_at"], unique=False, if_not_exists=True)
    op.create_index(
        "jobs_by_status", "jobs", ["status", "region"], unique=False, if_not_exists=True
    )
    op.create_index(
        "jobs_by_time", "jobs", ["region", "created_at", "id"], unique=False, if_not_exists=True
    )
    op.create_table(
        "item_groups",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sort_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"],
            ["jobs.key"],
        ),
        sa.PrimaryKeyConstraint("job", "number"),
        if_not_exists=True,
    )
    op.create_table(
        "items",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("aggregation", sa.String(length=16), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("sort_key", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.Column("group", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"],
            ["jobs.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(
        "items_by_key",
        "items",
        [
            "job",
            "aggregation",
            "sort_key",
            sa.literal_column("confidence DESC"),
            "timestamp_ms",
            "key",
        ],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "items_by_time",
        "items",
        ["job", "aggregation", "timestamp_ms", "key"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "notices",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("topic_arn", sa.Text(), nullable=False),
        sa.Column("role_arn", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"],
            ["jobs.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("job"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(
        "notices_by_destination",
        "notices",
        ["region", "topic_arn", "role_arn", "key"],
        unique=False,
        if_not_exists=True,
    )
