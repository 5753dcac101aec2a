"""``dispatcher``, ``worker`` and ``farm``: what runs until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..dispatcher.config import DispatcherConfig
    from ..dispatcher.service import Dispatcher

from . import options, settings
from .command import command
from .errors import UsageError
from .farm import LocalFarm
from .lending import LendingOptions, terms_of
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

_AT_ANY_TIME = LendingOptions()


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
            }
            | ({"operator_token": running.operator_token} if running.operator_token else {})
            | ({"sign_in": running.sign_in} if running.sign_in else {}),
            "\n".join(_welcome(running)),
        )
        while not stop.wait(1.0):
            running.check()
    return exit_code()


def _welcome(running: LocalFarm) -> list[str]:
    lines = [f"{running.workers} workers and a dispatcher at {running.url}; Ctrl-C stops them"]
    if running.operator_token:
        lines.append(f"The operator's token, told only now: {running.operator_token}")
        lines.append("Commands of this user on this machine go by it without being told.")
    if running.sign_in:
        lines.append(f"The farm in a browser, a link for one use within ten minutes: {running.sign_in}")
    return lines


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
    operator_token_file: Annotated[
        Path | None,
        typer.Option("--operator-token-file", metavar="FILE", help="The operator's token, instead of making one."),
    ] = None,
    new_operator_token: Annotated[
        bool,
        typer.Option("--new-operator-token", help="Make another operator's token on this data, print it, and end."),
    ] = False,
    invites_file: Annotated[Path | None, typer.Option("--invites-file", hidden=True)] = None,
    private: Annotated[bool, typer.Option("--private", hidden=True)] = False,
    sign_in_link: Annotated[bool, typer.Option("--sign-in-link", hidden=True)] = False,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Serve the API without the web pages.")] = False,
    stop_with_parent_: options.StopWithParent = False,
) -> int:
    """Run the dispatcher alone, until stopped."""
    from ..dispatcher.config import DispatcherConfig
    from ..dispatcher.errors import ConfigurationError
    from ..dispatcher.server import serve
    from .connecting import secret_in

    chosen = settings.load(
        host=host, port=port, database=database, storage=storage, dispatcher_data=data,
        tls_cert=tls_cert, tls_key=tls_key, insecure=insecure or None, operator_token_file=operator_token_file,
    )  # fmt: skip
    token_file = chosen.operator_token_file
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
        operator_token=secret_in(token_file, "--operator-token-file") if token_file else None,
        worker_invites=tuple(invites_file.read_text().split()) if invites_file else (),
    )
    serving: list[Dispatcher] = []
    pages = None if no_dashboard else _dashboard()

    def extend(app: FastAPI, dispatcher: Dispatcher) -> None:
        serving.append(dispatcher)
        if pages is not None:
            pages(app, dispatcher)

    def on_ready(url: str) -> None:
        token = serving[0].new_operator_token
        if config.loopback and not private:
            keep_operator(chosen, url, token)
        link = serving[0].signed_in.link(url) if sign_in_link and pages else None
        told = {"status": "ready", "url": url} | ({"operator_token": token} if token else {})
        words = [url] + ([f"The operator's token, told only now: {token}"] if token else [])
        out.result(told | ({"sign_in": link} if link else {}), "\n".join(words))

    stop = threading.Event()
    if stop_with_parent_:
        stop_with_parent(stop)
    try:
        with stopped_by_signals(stop) as exit_code:
            if new_operator_token:
                return _new_operator(out, config)
            serve(config, on_ready=on_ready, stop=stop, extend=extend)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    return exit_code()


def _new_operator(out: Output, config: DispatcherConfig) -> int:
    """Make another operator on the data of a dispatcher, which may be running."""
    from ..dispatcher.first_operator import new_operator

    token = new_operator(config)
    out.result({"status": "done", "operator_token": token}, f"The new operator's token, told only now: {token}")
    return 0


def keep_operator(chosen: settings.Settings, url: str, token: str | None) -> None:
    """Have this user's commands on this machine go by the operator's token from now on."""
    from ..client.credentials import Credentials, Kept

    data = str(chosen.dispatcher_data.absolute())
    try:
        kept = Credentials(chosen.credentials)
        if token:
            kept.keep(url, Kept(token, "operator", data=data))
        else:
            kept.moved(data, url)
    except OSError as error:
        log.warning("the operator's token can't be kept for this user: %s", error)


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
    pin: options.Pin = None,
    insecure: options.Insecure = False,
    lending: LendingOptions = _AT_ANY_TIME,
) -> int:
    """Lend this machine: take tasks from a dispatcher and render them, until stopped."""
    from ..worker.agent import Agent
    from ..worker.config import WorkerConfig
    from .connecting import client_for

    chosen = settings.load(
        dispatcher=dispatcher, invite=invite, worker_name=name, worker_data=data, cache=cache,
        max_memory=max_memory, max_disk=max_disk, sandbox=sandbox, threads=threads, device=device, blender=blender,
        ca=ca, pin=pin, insecure=insecure or None, owner=_owner_in(owner_file) if owner_file else None,
        **lending.given(),
    )  # fmt: skip
    try:
        with client_for(chosen, None) as client:  # says what is wrong with the address
            client.check_private()
    except ValueError as error:
        raise UsageError(str(error)) from None
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
        pin=chosen.pin,
        insecure=chosen.insecure,
        max_disk=chosen.max_disk,
        sandbox=chosen.sandbox != "off",
        sandbox_required=chosen.sandbox == "required",
        terms=terms_of(chosen),
        status=lending.status and lending.status.absolute(),
        control=lending.control and lending.control.absolute(),
    )
    stop = threading.Event()
    if lending.stop_with_parent:
        stop_with_parent(stop)
    with stopped_by_signals(stop) as exit_code:
        code = Agent(config).run(stop)
    out.result({"status": "failed" if code else "stopped"})
    return code or exit_code()
