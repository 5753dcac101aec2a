"""Checks of results, and how far workers are trusted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("workers", sa.Column("owner", sa.String(length=64)))
    op.add_column("jobs", sa.Column("differs", sa.String(length=16)))
    op.add_column("tasks", sa.Column("subject_id", sa.BigInteger()))
    op.add_column("tasks", sa.Column("wanted_class", sa.String(length=64)))
    op.add_column("tasks", sa.Column("wanted_worker", sa.String(length=64)))
    op.add_column("results", sa.Column("subject_id", sa.BigInteger()))
    op.add_column("results", sa.Column("render_class", sa.String(length=64)))
    op.create_index("results_by_worker", "results", ["worker_id", "status", "id"])
    op.create_table(
        "task_bars",
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "owner"),
    )
    op.create_table(
        "trust",
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("inconclusive", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("until", sa.Double()),
        sa.Column("last_passed", sa.BigInteger(), nullable=False),
        sa.Column("recall_after", sa.BigInteger()),
        sa.PrimaryKeyConstraint("worker_id"),
    )
    op.create_index("trust_by_recall", "trust", ["recall_after"])
    op.create_table(
        "checks",
        sa.Column("id", _ROW, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("dispute", sa.Boolean(), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("x0", sa.Integer(), nullable=False),
        sa.Column("y0", sa.Integer(), nullable=False),
        sa.Column("x1", sa.Integer(), nullable=False),
        sa.Column("y1", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("decided_at", sa.Double()),
        sa.Column("checker_id", sa.String(length=64)),
        sa.Column("result_id", sa.BigInteger()),
        sa.Column("verdict", sa.String(length=16)),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("comparison", sa.Text()),
        sa.Column("others", sa.Text()),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("task_id", name="one_check_a_task"),
    )
    op.create_index("checks_by_subject", "checks", ["subject_id"])
    op.create_index("checks_by_job", "checks", ["job_id", "id"])
    op.create_index("checks_by_worker", "checks", ["worker_id", "id"])
    op.create_index("checks_by_status", "checks", ["status"])
    op.create_index("checks_by_kept", "checks", ["kept"])
    op.create_table(
        "calibrations",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("one_class", sa.String(length=64), nullable=False),
        sa.Column("other_class", sa.String(length=64), nullable=False),
        sa.Column("tolerance", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "one_class", "other_class"),
    )
