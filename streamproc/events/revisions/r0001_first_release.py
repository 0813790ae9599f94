"""Events, the visits that are open, how far processors were watched and outlets have told."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("processor", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("logged_at", sa.Float(precision=53), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(
        "events_by_processor", "events", ["region", "processor", "id"],
        unique=False, if_not_exists=True,
    )  # fmt: skip
    op.create_index("events_by_time", "events", ["logged_at"], unique=False, if_not_exists=True)
    op.create_table(
        "visits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("processor", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(
        "visits_by_processor", "visits", ["region", "processor"], unique=False, if_not_exists=True
    )
    op.create_table(
        "watched",
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("processor", sa.String(length=128), nullable=False),
        sa.Column("media_s", sa.Float(precision=53), nullable=True),
        sa.Column("strangers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("region", "processor"),
        if_not_exists=True,
    )
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        if_not_exists=True,
    )
