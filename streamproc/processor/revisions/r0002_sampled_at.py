"""A checkpoint knows the frame that was sampled last: its media time in seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("processors", sa.Column("sampled_at", sa.Float(), nullable=True))
