"""``health``: whether the dispatcher or worker that is process 1 of this container can do its work."""

from __future__ import annotations

from collections.abc import Sequence

import psutil
import typer

from ..client.errors import Untrusted
from ..client.http import DispatcherClient
from . import settings
from .command import command
from .errors import CommandError
from .output import Output


def register(app: typer.Typer) -> None:
    """Add the command of this module to ``app``."""
    command(app, "health", hidden=True)(health)


def health(out: Output, /) -> int:
    """Ask the dispatcher in this container, or the one that this container's worker works for, if it is ready."""
    url = _url_of(psutil.Process(1).cmdline())
    try:
        with DispatcherClient(url, retry_for=0.0, timeout=(3.0, 5.0)) as client:
            client.health()
    except Untrusted:
        pass  # It answers by TLS, with a certificate for its public name: that is for others to judge.
    except Exception as error:
        raise CommandError(f"not healthy: {error}", status="unhealthy", url=url) from error
    out.result({"status": "healthy", "url": url}, f"{url} is ready")
    return 0


def _url_of(words: Sequence[str]) -> str:
    """Where the dispatcher answers that a process started with ``words`` is or serves."""

    def option(name: str) -> str | None:
        for i, word in enumerate(words):
            if word == name and i + 1 < len(words):
                return words[i + 1]
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return None

    if "dispatcher" in words or "farm" in words:
        port, cert = option("--port"), option("--tls-cert")
        chosen = settings.load(port=port, tls_cert=cert)
        return f"{'https' if chosen.tls_cert else 'http'}://127.0.0.1:{chosen.port}"
    return settings.load(dispatcher=option("--dispatcher")).dispatcher
