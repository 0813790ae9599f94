"""What was told last of a processor's state."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("watched", sa.Column("status", sa.String(length=16), nullable=True))
