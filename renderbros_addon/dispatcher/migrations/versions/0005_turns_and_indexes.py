"""Jobs of one priority take turns; indexes for what is asked with each task."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stretches",
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id"),
    )
    op.add_column("jobs", sa.Column("turn_at", sa.Double()))
    held = sa.text("status = 'held'")
    op.create_index(
        "held_leases_by_worker", "leases", ["worker_id", "job_id"], sqlite_where=held, postgresql_where=held
    )
    op.create_index("blocks_by_worker", "blocks", ["worker_id"])
    op.create_index("jobs_by_age", "jobs", ["created_at"])
    # With the subject at its end, counting a job's work needs no look at its rows.
    op.drop_index("tasks_in_order", "tasks")
    op.create_index("tasks_in_order", "tasks", ["job_id", "status", "rank", "ordinal", "subject_id"])
    op.drop_index("frames_by_state", "frames")
    op.create_index("frames_by_state", "frames", ["state", "job_id", "ordinal"])
    op.create_index("frames_by_job", "frames", ["job_id", "state"])
    op.drop_index("results_by_pixels", "results")
    op.create_index("results_by_pixels", "results", ["pixel_digest", "status"])
    op.drop_index("results_by_status", "results")
    op.create_index("results_by_status", "results", ["status", "id"])
