"""What workers have sent and no result has named yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sent_blobs",
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "sha256"),
    )
    op.create_index("sent_blobs_by_sha256", "sent_blobs", ["sha256"])
    op.create_index("sent_blobs_by_age", "sent_blobs", ["at"])
