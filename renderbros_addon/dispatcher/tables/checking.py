"""What is known of results and of those who sent them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from .columns import Digest, Id, RowId, UtcTime, metadata

task_bars = Table(
    "task_bars",
    metadata,
    Column("task_id", Id, primary_key=True),
    Column("owner", Digest, primary_key=True),  # whose workers must not get it; or the id of one worker
)

checks = Table(
    "checks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("job_id", Id, nullable=False),
    Column("subject_id", BigInteger, nullable=False),  # the result that is checked,
    Column("worker_id", Id, nullable=False),  # and the worker it came from
    Column("task_id", Id, nullable=False),  # the task that renders it again
    Column("kind", String(16), nullable=False),
    Column("dispute", Boolean, nullable=False),
    Column("frame", Integer, nullable=False),
    Column("x0", Integer, nullable=False),
    Column("y0", Integer, nullable=False),
    Column("x1", Integer, nullable=False),
    Column("y1", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime),
    Column("checker_id", Id),
    Column("result_id", BigInteger),  # the checker's
    Column("verdict", String(16)),  # of the comparison of the two results
    Column("exact", Boolean, nullable=False),  # both came from one class, so every bit had to be equal
    Column("sentence", Text, nullable=False),
    Column("comparison", Text),
    Column("others", Text),  # of a dispute: verdicts on the results of the checks before it, by their ids, JSON
    Column("kept", Boolean, nullable=False),  # the checker's file may still be there
    UniqueConstraint("task_id", name="one_check_a_task"),
    Index("checks_by_subject", "subject_id"),
    Index("checks_by_job", "job_id", "id"),
    Index("checks_by_worker", "worker_id", "id"),
    Index("checks_by_status", "status"),
    Index("checks_by_kept", "kept"),
)

trust = Table(
    "trust",
    metadata,
    Column("worker_id", Id, primary_key=True),
    Column("frames", Integer, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("inconclusive", Integer, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("strikes", Integer, nullable=False),
    Column("until", UtcTime),
    Column("last_passed", BigInteger, nullable=False),  # the last result that passed a check, 0 if none did
    Column("recall_after", BigInteger),  # what it sent after this result is to be rendered again; null if nothing is
    Index("trust_by_recall", "recall_after"),
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("one_class", String(64), primary_key=True),  # of the two classes the one that sorts first
    Column("other_class", String(64), primary_key=True),
    Column("tolerance", Text, nullable=False),  # that two honest renders of the job by these classes call for
    Column("at", UtcTime, nullable=False),
)
