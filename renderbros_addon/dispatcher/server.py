"""Runs the dispatcher on a socket until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from .app import app_around
from .config import DispatcherConfig
from .connections import MOST_CONNECTIONS
from .errors import ConfigurationError
from .server_protocols import protocols
from .service import Dispatcher

log = logging.getLogger("renderbros.dispatcher")

STOP_SECONDS = 3
"""How long requests under way may take once the dispatcher is to stop."""


def raise_descriptor_limit() -> None:
    """Let this process have as many files and connections open as it may: the usual limit suits programs at a desk."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(
    config: DispatcherConfig,
    *,
    on_ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    extend: Callable[[FastAPI, Dispatcher], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM (in the main thread), or until ``stop`` is set.

    ``on_ready`` is called with the URL once connections are accepted. ``extend`` may add to the application before it
    serves, as the dashboard does. ConfigurationError if it can't start.
    """
    raise_descriptor_limit()
    dispatcher = Dispatcher(config)
    try:
        dispatcher.start()
        listener = _listen(config)
    except BaseException:
        dispatcher.close()
        raise
    url = _url(config, listener)
    app = app_around(dispatcher)
    if extend is not None:
        extend(app, dispatcher)
    http, sockets = protocols(config.connections)
    server = _Server(
        uvicorn.Config(
            app,
            http=http,
            ws=sockets,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=str(config.tls_cert) if config.tls_cert else None,
            ssl_keyfile=str(config.tls_key) if config.tls_key else None,
            server_header=False,
            # Anybody could claim another address, which limits and the log of security events go by.
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            ws_max_size=1 << 20,
            timeout_keep_alive=config.connections.idle_seconds,
        ),
        dispatcher,
        lambda: _ready(url, on_ready),
        stop,
    )
    try:
        # server.run() would exit the process on a failed start; this room only ever raises.
        asyncio.run(server.serve(sockets=[listener]))
    except KeyboardInterrupt:
        log.info("interrupted")
    finally:
        listener.close()
        dispatcher.close()


def _ready(url: str, on_ready: Callable[[str], None] | None) -> None:
    log.info("ready at %s", url)
    if on_ready is not None:
        on_ready(url)


class _Server(uvicorn.Server):
    """uvicorn, with a word when it is up and a word to the dispatcher before it goes down."""

    def __init__(
        self,
        config: uvicorn.Config,
        dispatcher: Dispatcher,
        on_up: Callable[[], None],
        stop: threading.Event | None,
    ) -> None:
        super().__init__(config)
        self._dispatcher = dispatcher
        self._on_up = on_up
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_up()

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        if self._stop is not None and self._stop.is_set():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn waits for open requests before it tells the application: long polls would hold it up.
        self._dispatcher.hub.stop()
        await super().shutdown(sockets)


def _listen(config: DispatcherConfig) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"There is no address {config.host}: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        # On Windows the option means something else: two servers could share the port.
        with contextlib.suppress(AttributeError):
            if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Port {config.port} on {config.host} can't be used: {error.strerror or error}. "
            "Is a dispatcher running there already? Choose another with --port."
        ) from error
    return listener


def _url(config: DispatcherConfig, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{'https' if config.tls_cert else 'http'}://{host}:{port}"
