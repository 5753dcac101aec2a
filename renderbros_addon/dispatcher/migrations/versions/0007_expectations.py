"""What frames are expected to look like, apart from the job: it may come later."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    made = op.create_table(
        "expectations",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "frame"),
    )
    rows = op.get_bind().execute(sa.text("SELECT id, spec FROM jobs WHERE spec LIKE '%\"expected\":[{%'")).all()
    for job_id, spec in rows:
        found = json.loads(spec)["expected"]
        new = [{"job_id": job_id, "frame": one["frame"], "content": json.dumps(one)} for one in found]
        op.bulk_insert(made, new)
