"""``dispatcher``, ``worker`` and ``farm``: what runs until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import options, settings
from .command import command
from .errors import UsageError
from .farm import LocalFarm
from .output import Output
from .own_process import own_command, stop_with_parent, stopped_by_signals

log = logging.getLogger("renderbros.cli")

MaxMemory = Annotated[
    str | None, typer.Option("--max-memory", metavar="M", help="What a renderer may use, such as 8GB.")
]


OwnerFile = Annotated[
    Path | None,
    typer.Option("--owner-file", metavar="FILE", help="File with the secret that all workers of one owner share."),
]

MaxDisk = Annotated[
    str | None, typer.Option("--max-disk", metavar="D", help="What a renderer may write for a task, such as 20GB.")
]
Sandbox = Annotated[
    str | None,
    typer.Option("--sandbox", metavar="auto|required|off", help="The system's guards around renderers."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "farm", log_level=logging.INFO)(farm)
    command(app, "dispatcher", log_level=logging.INFO)(dispatcher)
    command(app, "worker", log_level=logging.INFO)(worker)


def farm(
    out: Output,
    /,
    data: options.Data = None,
    port: Annotated[int | None, typer.Option("--port", metavar="P", help="Port. (default: 8420)")] = None,
    workers: options.Workers = None,
    blender: options.Blender = None,
    device: options.Device = None,
) -> int:
    """Run a dispatcher and workers on this machine until stopped."""
    chosen = settings.load(farm_data=data, port=port, workers=workers, blender=blender, device=device)
    stop = threading.Event()
    running = LocalFarm(chosen, chosen.farm_data.absolute())
    with stopped_by_signals(stop) as exit_code, running:
        out.result(
            {
                "status": "ready",
                "url": running.url,
                "workers": running.workers,
                "data": str(chosen.farm_data.absolute()),
            },
            f"{running.workers} workers and a dispatcher at {running.url}; Ctrl-C stops them",
        )
        while not stop.wait(1.0):
            running.check()
    return exit_code()


def dispatcher(
    out: Output,
    /,
    host: Annotated[str | None, typer.Option("--host", metavar="H", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="P", help="Port; 0 for any free one.")] = None,
    database: Annotated[str | None, typer.Option("--database", metavar="URL", help="SQLAlchemy URL.")] = None,
    storage: Annotated[str | None, typer.Option("--storage", metavar="URL", help="URL of the blob store.")] = None,
    data: options.Data = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="F", help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="F", help="Its private key (PEM).")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen on a public address without TLS.")] = False,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Serve the API without the web pages.")] = False,
    stop_with_parent_: options.StopWithParent = False,
) -> int:
    """Run the dispatcher alone, until stopped."""
    from ..dispatcher.config import DispatcherConfig
    from ..dispatcher.errors import ConfigurationError
    from ..dispatcher.server import serve

    chosen = settings.load(
        host=host, port=port, database=database, storage=storage, dispatcher_data=data,
        tls_cert=tls_cert, tls_key=tls_key, insecure=insecure or None,
    )  # fmt: skip
    config = DispatcherConfig(
        data=chosen.dispatcher_data.absolute(),
        checker_command=own_command("check-images"),
        host=chosen.host,
        port=chosen.port,
        database=chosen.database,
        storage=chosen.storage,
        tls_cert=chosen.tls_cert,
        tls_key=chosen.tls_key,
        insecure=chosen.insecure,
        lease_seconds=chosen.lease_seconds,
    )

    def on_ready(url: str) -> None:
        out.result({"status": "ready", "url": url}, url)

    stop = threading.Event()
    if stop_with_parent_:
        stop_with_parent(stop)
    try:
        with stopped_by_signals(stop) as exit_code:
            serve(config, on_ready=on_ready, stop=stop, extend=None if no_dashboard else _dashboard())
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    return exit_code()


def _dashboard() -> Callable[..., None] | None:
    """What adds the web pages; None, with a word in the log, where NiceGUI is not installed."""
    try:
        from ..dashboard.pages import mount
    except ModuleNotFoundError as error:
        if error.name != "nicegui":
            raise
        log.warning("no dashboard: the package nicegui is not installed here")
        return None
    return mount


def _owner_in(file: Path) -> str:
    """The secret in ``file``; UsageError if there is none."""
    try:
        with file.open("rb") as opened:
            secret = opened.read(4096).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--owner-file: {file} can't be read: {error}") from None
    if not settings.SHORTEST_OWNER <= len(secret) <= settings.LONGEST_OWNER:
        raise UsageError(
            f"--owner-file: {file} holds {len(secret)} characters, and an owner's secret has "
            f"{settings.SHORTEST_OWNER} to {settings.LONGEST_OWNER}"
        )
    return secret


def worker(
    out: Output,
    /,
    dispatcher: options.Dispatcher = None,
    invite: Annotated[str | None, typer.Option("--invite", metavar="CODE", help="Invite from the operator.")] = None,
    owner_file: OwnerFile = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when there is nothing left to do.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name shown to others.")] = None,
    data: options.Data = None,
    cache: Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="Folder of downloaded files.")] = None,
    max_memory: MaxMemory = None,
    max_disk: MaxDisk = None,
    sandbox: Sandbox = None,
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="Threads of a renderer.")] = None,
    device: options.Device = None,
    blender: options.Blender = None,
    ca: options.Ca = None,
    stop_with_parent_: options.StopWithParent = False,
) -> int:
    """Lend this machine: take tasks from a dispatcher and render them, until stopped."""
    from ..worker.agent import Agent
    from ..worker.config import WorkerConfig
    from .connecting import connect

    chosen = settings.load(
        dispatcher=dispatcher, invite=invite, worker_name=name, worker_data=data, cache=cache,
        max_memory=max_memory, max_disk=max_disk, sandbox=sandbox, threads=threads, device=device, blender=blender,
        ca=ca,
        owner=_owner_in(owner_file) if owner_file else None,
    )  # fmt: skip
    connect(dispatcher, ca).close()  # says what is wrong with the address
    config = WorkerConfig(
        dispatcher=chosen.dispatcher,
        data=chosen.worker_data.absolute(),
        name=chosen.worker_name,
        invite=chosen.invite,
        owner=chosen.owner,
        once=once,
        max_memory=chosen.max_memory,
        threads=chosen.threads,
        device=chosen.device,
        cache=chosen.cache.absolute() if chosen.cache else None,
        cache_bytes=chosen.cache_size,
        task_timeout=chosen.task_timeout,
        hang_timeout=chosen.hang_timeout,
        blender=chosen.blender,
        ca=chosen.ca,
        max_disk=chosen.max_disk,
        sandbox=chosen.sandbox != "off",
        sandbox_required=chosen.sandbox == "required",
    )
    stop = threading.Event()
    if stop_with_parent_:
        stop_with_parent(stop)
    with stopped_by_signals(stop) as exit_code:
        code = Agent(config).run(stop)
    out.result({"status": "failed" if code else "stopped"})
    return code or exit_code()
