"""A job in the object that ``--json`` prints."""

from __future__ import annotations

from typing import Any

from ..protocol.jobs import JobView


def job_json(job: JobView) -> dict[str, Any]:
    """``job`` with its id under ``job``, as all commands name it."""
    return {"job": job.id} | job.model_dump(mode="json")
