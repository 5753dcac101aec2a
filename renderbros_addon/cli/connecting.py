"""A client for the dispatcher that the options and settings name, and the token that it goes by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..client.credentials import Credentials, Kept
from ..client.http import DispatcherClient
from . import options, settings
from .errors import UsageError

RETRY_SECONDS = 4.0
"""Someone waits at a terminal: a dispatcher that is not there should be told soon."""

LONGEST_TOKEN = 4096
"""Bytes of a file with a token."""


@dataclass(frozen=True)
class Connecting:
    """The options of a command that talks to a dispatcher. :func:`.command.command` adds one for each field."""

    dispatcher: options.Dispatcher = None
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="File with your token, if login keeps none.")
    ] = None
    ca: options.Ca = None
    pin: options.Pin = None
    insecure: options.Insecure = False

    def settings(self) -> settings.Settings:
        """The settings, with these options in front."""
        return settings.load(
            dispatcher=self.dispatcher,
            token_file=self.token_file,
            ca=self.ca,
            pin=self.pin,
            insecure=self.insecure or None,
        )


AS_SET = Connecting()
"""Nothing was said: the settings tell."""


def connect(to: Connecting) -> DispatcherClient:
    """A client for the dispatcher that was asked for. UsageError if that is no address, or no token may go there."""
    chosen = to.settings()
    kept = kept_for(chosen)
    return client_for(chosen, token_of(chosen, to, kept), kept)


def client_for(chosen: settings.Settings, token: str | None, kept: Kept | None = None) -> DispatcherClient:
    """A client for the dispatcher in ``chosen``, which trusts what it trusts, or else what is ``kept`` with a token."""
    ca, pin = chosen.ca, chosen.pin
    if ca is None and pin is None and kept is not None:
        ca, pin = Path(kept.ca) if kept.ca else None, kept.pin
    try:
        return DispatcherClient(
            chosen.dispatcher, token, ca=ca, pin=pin, insecure=chosen.insecure, retry_for=RETRY_SECONDS
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def kept_for(chosen: settings.Settings) -> Kept | None:
    """What login, or a farm on this machine, keeps for the dispatcher in ``chosen``."""
    return Credentials(chosen.credentials).find(chosen.dispatcher)


def token_of(chosen: settings.Settings, to: Connecting, kept: Kept | None) -> str | None:
    """The token to go by: the option's file, the environment's, its file's, or the one that is kept."""
    if to.token_file is not None:
        return secret_in(to.token_file, "--token-file")
    if chosen.token is not None:
        return chosen.token
    if chosen.token_file is not None:
        return secret_in(chosen.token_file, f"{settings.PREFIX}TOKEN_FILE")
    return kept.token if kept else None


def secret_in(file: Path, said: str) -> str:
    """The token or code in ``file``; UsageError, which names ``said``, if there is none."""
    try:
        with file.open("rb") as opened:
            secret = opened.read(LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{said}: {file} can't be read: {error}") from None
    if not secret or any(not "!" <= c <= "~" for c in secret):
        raise UsageError(f"{said}: {file} holds no token")
    return secret
