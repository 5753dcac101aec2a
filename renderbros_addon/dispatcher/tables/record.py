"""What has happened, and what was answered."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from .columns import Digest, Id, RowId, UtcTime, metadata

events = Table(
    "events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("event", String(64), nullable=False),
    Column("job_id", Id),
    Column("task_id", Id),
    Column("worker_id", Id),
    Column("detail", Text, nullable=False),
    Index("events_by_job", "job_id", "id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Digest, primary_key=True),  # digest of method, path, caller and key
    Column("request", Digest, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("idempotency_by_age", "at"),
)
