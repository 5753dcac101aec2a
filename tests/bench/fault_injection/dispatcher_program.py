"""Run as a program: a dispatcher in short time. ``dispatcher_program.py DATA PORT LEASE_SECONDS CLOCK``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.extend(str(path) for path in Path(__file__).resolve().parents[2:4])

from access import OPERATOR
from timing import SetClock, shorten

from renderbros_addon.cli import logs
from renderbros_addon.cli.own_process import own_command
from renderbros_addon.dispatcher.config import DispatcherConfig
from renderbros_addon.dispatcher.server import serve


def main() -> None:
    data, port, lease, clock = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    factor = shorten(lease)
    SetClock(clock).take_over()
    logs.set_up(level=logging.INFO, as_json=False)
    config = DispatcherConfig(
        data=data,
        checker_command=own_command("check-images"),
        port=port,
        lease_seconds=lease,
        offline_seconds=60.0 * factor,
        intake_threads=1,
        operator_token=OPERATOR,
    )
    serve(config, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
