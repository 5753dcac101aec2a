"""Who renders what: leases, how workers go about jobs, what they send and what they fail at."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, String, Table, Text, UniqueConstraint, text

from .columns import Digest, Id, RowId, UtcTime, metadata

leases = Table(
    "leases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task_id", Id, nullable=False),
    Column("job_id", Id, nullable=False),
    Column("worker_id", Id, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    # The database itself refuses a second live lease on a task.
    Index(
        "one_held_lease_a_task",
        "task_id",
        unique=True,
        sqlite_where=text("status = 'held'"),
        postgresql_where=text("status = 'held'"),
    ),
    Index("leases_by_status", "status", "expires_at"),
    Index("leases_by_job", "job_id", "status"),
    Index(
        "held_leases_by_worker",
        "worker_id",
        "job_id",
        sqlite_where=text("status = 'held'"),
        postgresql_where=text("status = 'held'"),
    ),
)

results = Table(
    "results",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("lease_id", Id, nullable=False),
    Column("task_id", Id, nullable=False),
    Column("job_id", Id, nullable=False),
    Column("worker_id", Id, nullable=False),
    Column("frame", Integer, nullable=False),
    Column("subject_id", BigInteger),  # as in tasks
    Column("render_class", String(64)),  # of the worker when it sent it: equal classes make equal pixels
    Column("status", String(16), nullable=False),  # pending, checking, accepted, rejected, evidence or recalled
    Column("wanted", Boolean, nullable=False),  # with late: what the worker was answered
    Column("late", Boolean, nullable=False),
    Column("sha256", Digest, nullable=False),
    Column("pixel_digest", Digest, nullable=False),
    Column("output", Text, nullable=False),  # as claimed; once accepted, as this dispatcher found it
    Column("stats", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("problem", Text),
    UniqueConstraint("lease_id", name="one_result_a_lease"),
    Index("results_by_status", "status", "id"),
    Index("results_by_task", "task_id"),
    Index("results_by_job", "job_id", "status", "id"),
    Index("results_by_sha256", "sha256"),
    Index("results_by_pixels", "pixel_digest", "status"),
    Index("results_by_worker", "worker_id", "status", "id"),
)

result_files = Table(
    "result_files",
    metadata,
    Column("result_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("sha256", Digest, nullable=False),
    Column("output", Text, nullable=False),  # like results.output
    Index("result_files_by_sha256", "sha256"),
)

failures = Table(
    "failures",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("job_id", Id, nullable=False),
    Column("task_id", Id, nullable=False),
    Column("worker_id", Id, nullable=False),
    Column("lease_id", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("code", String(32), nullable=False),
    Column("message", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("counted", Boolean, nullable=False),  # false once the job was retried
    Index("failures_by_job", "job_id", "worker_id"),
    Index("failures_by_task", "task_id"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("worker_id", Id, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Index("blocks_by_worker", "worker_id"),
)

stretches = Table(
    "stretches",
    metadata,
    Column("worker_id", Id, primary_key=True),
    Column("job_id", Id, nullable=False),  # the job that it is at,
    Column("since", UtcTime, nullable=False),  # and since when it has been
)

chunks = Table(
    "chunks",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("worker_id", Id, primary_key=True),
    Column("start", Integer, nullable=False),  # ordinals of its tasks: the first one,
    Column("at", Integer, nullable=False),  # the one that the worker gets next,
    Column("stop", Integer, nullable=False),  # and the first one after it
)
