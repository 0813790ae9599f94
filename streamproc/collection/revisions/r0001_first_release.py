"""Collections, faces and people, as first released. A file from before lacks some of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("collection_id", sa.String(length=255), nullable=False),
        sa.Column("model_version", sa.String(length=255), nullable=False),
        sa.Column("pack", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("face_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("region", "collection_id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "faces",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "collection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("face_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("external_image_id", sa.String(length=255), nullable=True),
        sa.Column("left", sa.Float(precision=53), nullable=False),
        sa.Column("top", sa.Float(precision=53), nullable=False),
        sa.Column("width", sa.Float(precision=53), nullable=False),
        sa.Column("height", sa.Float(precision=53), nullable=False),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("collection", "face_id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(
        "faces_of_image", "faces", ["collection", "image_id"], unique=False, if_not_exists=True
    )
    op.create_table(
        "people",
        sa.Column(
            "collection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("urls", sa.Text(), nullable=False),
        sa.Column("gender", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.key"],
        ),
        sa.PrimaryKeyConstraint("collection", "person_id"),
        if_not_exists=True,
    )
