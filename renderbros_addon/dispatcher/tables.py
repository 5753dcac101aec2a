"""The tables. Migrations in ``migrations/versions`` create them; a test holds that both agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]
else:
    # SQLAlchemy 2.0 takes one parameter here, 2.1 as many as there are columns.
    AnyRow = Row


class UtcTime(TypeDecorator[datetime]):
    """A moment, kept as seconds since 1970 UTC: SQLite has no time zones, and numbers compare alike everywhere."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> float | None:
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, _: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


metadata = MetaData()

_Id = String(64)
_Sha = String(64)
_Row = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts up by itself in SQLite

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("spec", Text, nullable=False),  # the JobSpec as it came, never changed
    Column("series", Text, nullable=False),  # with the next two what the scheduler matches on; separated by spaces
    Column("engine", Text, nullable=False),
    Column("device", String(8), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("cuts", Text),  # the regions of its tiles, JSON, where the dispatcher decided on them; set when it is queued
    Column("differs", String(16)),  # what of its renders turned out not to be repeatable: parts, or all
    Column("blocked_since", UtcTime),  # since when every fitting worker online has been blocked for it
    Column("reason_code", String(32)),
    Column("reason_message", Text),
    Column("turn_at", UtcTime),  # when a worker last began a stretch with it
    Column("account", _Id),  # who made it; null for one made before there were accounts
    Index("jobs_by_status", "status"),
    Index("jobs_by_age", "created_at"),
    Index("jobs_by_account", "account", "created_at"),
)

job_blobs = Table(
    "job_blobs",
    metadata,
    Column("job_id", _Id, primary_key=True),
    Column("sha256", _Sha, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("present", Boolean, nullable=False),
    Index("job_blobs_by_sha256", "sha256"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("rank", Integer, nullable=False),  # 0 for finish, 1 for render: finished frames come first
    Column("ordinal", Integer, nullable=False),  # frame by frame, in a frame tile by tile
    Column("frame", Integer, nullable=False),
    Column("x0", Integer, nullable=False),
    Column("y0", Integer, nullable=False),
    Column("x1", Integer, nullable=False),
    Column("y1", Integer, nullable=False),
    Column("linear", Boolean, nullable=False),
    Column("assembled", _Sha),
    Column("not_before", UtcTime),
    Column("result_id", BigInteger),  # the result under verification, then the accepted one
    Column("subject_id", BigInteger),  # of a check or a replica: the result that it is about
    Column("wanted_class", String(64)),  # the only class of workers that it is for
    Column("wanted_worker", _Id),  # the only worker that it is for: drawn, so that none can pick what to check
    Index("tasks_in_order", "job_id", "status", "rank", "ordinal", "subject_id"),
    Index("tasks_by_frame", "job_id", "frame"),
)

leases = Table(
    "leases",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("task_id", _Id, nullable=False),
    Column("job_id", _Id, nullable=False),
    Column("worker_id", _Id, nullable=False),
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

workers = Table(
    "workers",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", _Sha, nullable=False),
    Column("token_hash", _Sha, nullable=False),
    Column("status", String(16), nullable=False),
    Column("pause_requested", Boolean, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("owner", String(64)),  # digest of the owner's secret; null for a worker that is its own owner
    Column("invite", _Id),  # by which it came; null for one that came before there were invites
    Column("token_salt", String(32), nullable=False, server_default=""),  # a new one makes a new token of its secret
    Column("enrolled_at", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("tasks_accepted", Integer, nullable=False),
    Column("tasks_failed", Integer, nullable=False),
    UniqueConstraint("name", "secret_hash", name="one_worker_a_secret"),
    Index("workers_by_token", "token_hash", unique=True),
    Index("workers_by_status", "status"),
    Index("workers_by_owner", "owner"),
)

failures = Table(
    "failures",
    metadata,
    Column("id", _Row, primary_key=True, autoincrement=True),
    Column("job_id", _Id, nullable=False),
    Column("task_id", _Id, nullable=False),
    Column("worker_id", _Id, nullable=False),
    Column("lease_id", _Id, nullable=False),
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
    Column("job_id", _Id, primary_key=True),
    Column("worker_id", _Id, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Index("blocks_by_worker", "worker_id"),
)

stretches = Table(
    "stretches",
    metadata,
    Column("worker_id", _Id, primary_key=True),
    Column("job_id", _Id, nullable=False),  # the job that it is at,
    Column("since", UtcTime, nullable=False),  # and since when it has been
)

chunks = Table(
    "chunks",
    metadata,
    Column("job_id", _Id, primary_key=True),
    Column("worker_id", _Id, primary_key=True),
    Column("start", Integer, nullable=False),  # ordinals of its tasks: the first one,
    Column("at", Integer, nullable=False),  # the one that the worker gets next,
    Column("stop", Integer, nullable=False),  # and the first one after it
)

results = Table(
    "results",
    metadata,
    Column("id", _Row, primary_key=True, autoincrement=True),
    Column("lease_id", _Id, nullable=False),
    Column("task_id", _Id, nullable=False),
    Column("job_id", _Id, nullable=False),
    Column("worker_id", _Id, nullable=False),
    Column("frame", Integer, nullable=False),
    Column("subject_id", BigInteger),  # as in tasks
    Column("render_class", String(64)),  # of the worker when it sent it: equal classes make equal pixels
    Column("status", String(16), nullable=False),  # pending, checking, accepted, rejected, evidence or recalled
    Column("wanted", Boolean, nullable=False),  # with late: what the worker was answered
    Column("late", Boolean, nullable=False),
    Column("sha256", _Sha, nullable=False),
    Column("pixel_digest", _Sha, nullable=False),
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
    Column("sha256", _Sha, nullable=False),
    Column("output", Text, nullable=False),  # like results.output
    Index("result_files_by_sha256", "sha256"),
)

frames = Table(
    "frames",
    metadata,
    Column("job_id", _Id, primary_key=True),
    Column("frame", Integer, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("assembled", _Sha),
    Column("attempts", Integer, nullable=False),  # failed attempts at assembling
    Column("output", Text),
    Column("output_sha256", _Sha),
    Column("result_id", BigInteger),  # the result with the final output
    Index("frames_by_state", "state", "job_id", "ordinal"),
    Index("frames_by_job", "job_id", "state"),
    Index("frames_by_assembled", "assembled"),
    Index("frames_by_output", "output_sha256"),
)

expectations = Table(
    "expectations",
    metadata,
    Column("job_id", _Id, primary_key=True),
    Column("frame", Integer, primary_key=True),
    Column("content", Text, nullable=False),
)

task_bars = Table(
    "task_bars",
    metadata,
    Column("task_id", _Id, primary_key=True),
    Column("owner", _Sha, primary_key=True),  # whose workers must not get it; or the id of one worker
)

checks = Table(
    "checks",
    metadata,
    Column("id", _Row, primary_key=True, autoincrement=True),
    Column("job_id", _Id, nullable=False),
    Column("subject_id", BigInteger, nullable=False),  # the result that is checked,
    Column("worker_id", _Id, nullable=False),  # and the worker it came from
    Column("task_id", _Id, nullable=False),  # the task that renders it again
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
    Column("checker_id", _Id),
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
    Column("worker_id", _Id, primary_key=True),
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
    Column("job_id", _Id, primary_key=True),
    Column("one_class", String(64), primary_key=True),  # of the two classes the one that sorts first
    Column("other_class", String(64), primary_key=True),
    Column("tolerance", Text, nullable=False),  # that two honest renders of the job by these classes call for
    Column("at", UtcTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _Row, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("event", String(64), nullable=False),
    Column("job_id", _Id),
    Column("task_id", _Id),
    Column("worker_id", _Id),
    Column("detail", Text, nullable=False),
    Index("events_by_job", "job_id", "id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", _Sha, primary_key=True),  # digest of method, path, caller and key
    Column("request", _Sha, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("idempotency_by_age", "at"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("role", String(16), nullable=False),  # submitter or operator
    Column("name", Text, nullable=False),
    Column("token_hash", _Sha, nullable=False),
    Column("old_hash", _Sha),  # of the token before the last rotation, which is good
    Column("old_until", UtcTime),  # until then
    Column("invite", _Id),  # by which it came; null for one that was made on the dispatcher's own machine
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    Index("accounts_by_token", "token_hash", unique=True),
    Index("accounts_by_old_token", "old_hash"),
)

invites = Table(
    "invites",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("label", Text, nullable=False),
    Column("code_hash", _Sha, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", _Id),  # null for one that was made on the dispatcher's own machine
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("used_by", _Id),  # the account or worker that it made
    Column("revoked_at", UtcTime),
    Index("invites_by_code", "code_hash", unique=True),
    Index("invites_by_age", "created_at"),
)

blob_owners = Table(
    "blob_owners",
    metadata,
    Column("account", _Id, primary_key=True),  # a submitter's,
    Column("sha256", _Sha, primary_key=True),  # and what it has sent every byte of
    Column("at", UtcTime, nullable=False),
)
