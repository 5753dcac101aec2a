"""Time in a test's hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Time that stands still until told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
