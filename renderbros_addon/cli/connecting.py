"""A client for the dispatcher that the settings name."""

from __future__ import annotations

from pathlib import Path

from ..client.http import DispatcherClient
from . import settings
from .errors import UsageError

RETRY_SECONDS = 4.0
"""Someone waits at a terminal: a dispatcher that is not there should be told soon."""


def connect(dispatcher: str | None, ca: Path | None) -> DispatcherClient:
    """A client for ``dispatcher``, or for the one in the settings. UsageError if that is no address."""
    chosen = settings.load(dispatcher=dispatcher, ca=ca)
    try:
        return DispatcherClient(chosen.dispatcher, ca=chosen.ca, retry_for=RETRY_SECONDS)
    except ValueError as error:
        raise UsageError(str(error)) from None
