"""Tiles cut by cost, and files beside the frame."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("cuts", sa.Text(), nullable=True))
    op.add_column("frames", sa.Column("result_id", sa.BigInteger(), nullable=True))
    op.create_table(
        "result_files",
        sa.Column("result_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("result_id", "name"),
    )
    op.create_index("result_files_by_sha256", "result_files", ["sha256"], unique=False)
