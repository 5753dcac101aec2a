"""Accounts, invites, and whose jobs, blobs and workers are whose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("old_hash", sa.String(length=64)),
        sa.Column("old_until", sa.Double()),
        sa.Column("invite", sa.String(length=64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.Column("last_used_at", sa.Double()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("accounts_by_token", "accounts", ["token_hash"], unique=True)
    op.create_index("accounts_by_old_token", "accounts", ["old_hash"])
    op.create_table(
        "invites",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(length=64)),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double()),
        sa.Column("used_by", sa.String(length=64)),
        sa.Column("revoked_at", sa.Double()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("invites_by_code", "invites", ["code_hash"], unique=True)
    op.create_index("invites_by_age", "invites", ["created_at"])
    op.create_table(
        "blob_owners",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("account", "sha256"),
    )
    op.add_column("jobs", sa.Column("account", sa.String(length=64)))
    op.create_index("jobs_by_account", "jobs", ["account", "created_at"])
    op.add_column("workers", sa.Column("invite", sa.String(length=64)))
    op.add_column("workers", sa.Column("token_salt", sa.String(length=32), nullable=False, server_default=""))
    op.create_index("workers_by_owner", "workers", ["owner"])
