"""What is asked for: jobs with their files and tasks, and the frames that come of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from .columns import Digest, Id, UtcTime, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
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
    Column("account", Id),  # who made it; null for one made before there were accounts
    Index("jobs_by_status", "status"),
    Index("jobs_by_age", "created_at"),
    Index("jobs_by_account", "account", "created_at"),
)

job_blobs = Table(
    "job_blobs",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("sha256", Digest, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("present", Boolean, nullable=False),
    Index("job_blobs_by_sha256", "sha256"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, nullable=False),
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
    Column("assembled", Digest),
    Column("not_before", UtcTime),
    Column("result_id", BigInteger),  # the result under verification, then the accepted one
    Column("subject_id", BigInteger),  # of a check or a replica: the result that it is about
    Column("wanted_class", String(64)),  # the only class of workers that it is for
    Column("wanted_worker", Id),  # the only worker that it is for: drawn, so that none can pick what to check
    Index("tasks_in_order", "job_id", "status", "rank", "ordinal", "subject_id"),
    Index("tasks_by_frame", "job_id", "frame"),
)

frames = Table(
    "frames",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("frame", Integer, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("assembled", Digest),
    Column("attempts", Integer, nullable=False),  # failed attempts at assembling
    Column("output", Text),
    Column("output_sha256", Digest),
    Column("result_id", BigInteger),  # the result with the final output
    Index("frames_by_state", "state", "job_id", "ordinal"),
    Index("frames_by_job", "job_id", "state"),
    Index("frames_by_assembled", "assembled"),
    Index("frames_by_output", "output_sha256"),
)

expectations = Table(
    "expectations",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("frame", Integer, primary_key=True),
    Column("content", Text, nullable=False),
)
