"""Who may come in, and whose blobs are whose."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from .columns import Digest, Id, UtcTime, metadata

workers = Table(
    "workers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Digest, nullable=False),
    Column("token_hash", Digest, nullable=False),
    Column("status", String(16), nullable=False),
    Column("pause_requested", Boolean, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("owner", String(64)),  # digest of the owner's secret; null for a worker that is its own owner
    Column("invite", Id),  # by which it came; null for one that came before there were invites
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

accounts = Table(
    "accounts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("role", String(16), nullable=False),  # submitter or operator
    Column("name", Text, nullable=False),
    Column("token_hash", Digest, nullable=False),
    Column("old_hash", Digest),  # of the token before the last rotation, which is good
    Column("old_until", UtcTime),  # until then
    Column("invite", Id),  # by which it came; null for one that was made on the dispatcher's own machine
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
    Column("id", Id, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("label", Text, nullable=False),
    Column("code_hash", Digest, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Id),  # null for one that was made on the dispatcher's own machine
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("used_by", Id),  # the account or worker that it made
    Column("revoked_at", UtcTime),
    Index("invites_by_code", "code_hash", unique=True),
    Index("invites_by_age", "created_at"),
)

blob_owners = Table(
    "blob_owners",
    metadata,
    Column("account", Id, primary_key=True),  # a submitter's,
    Column("sha256", Digest, primary_key=True),  # and what it has sent every byte of
    Column("at", UtcTime, nullable=False),
)

sent_blobs = Table(
    "sent_blobs",
    metadata,
    Column("sender", Id, primary_key=True),  # a worker's,
    Column("sha256", Digest, primary_key=True),  # what it has sent every byte of, and no result of it has named yet
    Column("size", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("sent_blobs_by_sha256", "sha256"),
    Index("sent_blobs_by_age", "at"),
)
