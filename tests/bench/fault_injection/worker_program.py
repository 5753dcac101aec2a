"""Run as a program: a worker in short time. ``worker_program.py URL DATA NAME OWNER LEASE_SECONDS CLOCK INVITE``."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

sys.path.extend(str(path) for path in Path(__file__).resolve().parents[2:4])

from timing import SetClock, shorten

from renderbros_addon.cli import logs
from renderbros_addon.cli.own_process import stopped_by_signals
from renderbros_addon.worker.agent import Agent
from renderbros_addon.worker.config import WorkerConfig


def main() -> int:
    url, data, name, owner, lease, clock, invite = sys.argv[1:]
    factor = shorten(float(lease))
    SetClock(Path(clock)).take_over()
    logs.set_up(level=logging.INFO, as_json=False)
    config = WorkerConfig(
        dispatcher=url,
        data=Path(data),
        name=name,
        owner=owner,
        invite=invite,
        threads=1,
        heartbeat_timeout=30.0 * factor,
        poll_seconds=20.0 * factor,
    )
    stop = threading.Event()
    with stopped_by_signals(stop) as exit_code:
        return Agent(config).run(stop) or exit_code()


if __name__ == "__main__":
    sys.exit(main())
