"""The tables, by what they are about. Migrations in ``migrations/versions`` create them; a test holds both alike."""

from .access import accounts, blob_owners, invites, sent_blobs, workers
from .asked import expectations, frames, job_blobs, jobs, tasks
from .checking import calibrations, checks, task_bars, trust
from .columns import AnyRow, UtcTime, metadata
from .record import events, idempotency
from .rendering import blocks, chunks, failures, leases, result_files, results, stretches

__all__ = [
    "AnyRow",
    "UtcTime",
    "accounts",
    "blob_owners",
    "blocks",
    "calibrations",
    "checks",
    "chunks",
    "events",
    "expectations",
    "failures",
    "frames",
    "idempotency",
    "invites",
    "job_blobs",
    "jobs",
    "leases",
    "metadata",
    "result_files",
    "results",
    "sent_blobs",
    "stretches",
    "task_bars",
    "tasks",
    "trust",
    "workers",
]
