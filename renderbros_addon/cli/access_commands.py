"""``invite``, ``login``, ``logout``, ``tokens``: who may come in, and by what."""

from __future__ import annotations

import getpass
import re
import sys
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from ..client.credentials import Credentials, Kept
from ..client.errors import ClientError, Refused
from ..protocol.access import InviteView, Role, TokenView
from . import settings
from .command import command
from .connecting import AS_SET, Connecting, client_for, connect, kept_for, secret_in
from .errors import CommandError, UsageError
from .output import Output
from .worker_commands import find_worker

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_Role = Annotated[
    Role | None, typer.Option("--role", metavar="R", help="submitter, worker or operator.", show_default=False)
]
_Expires = Annotated[str, typer.Option("--expires", metavar="T", help="How long it is good, such as 30m, 24h or 7d.")]
_Label = Annotated[str, typer.Option("--label", metavar="TEXT", help="Whom it is for, to tell them apart.")]
_List = Annotated[bool, typer.Option("--list", help="List the invites there are, without their codes.")]
_Revoke = Annotated[str | None, typer.Option("--revoke", metavar="ID", help="Make one of them void.")]
_Invite = Annotated[str | None, typer.Option("--invite", metavar="CODE", help="Invite from the operator.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "invite")(invite)
    command(app, "login")(login)
    command(app, "logout")(logout)
    command(app, "tokens")(tokens)


def invite(
    out: Output,
    /,
    role: _Role = None,
    expires: _Expires = "24h",
    label: _Label = "",
    listed: _List = False,
    revoke: _Revoke = None,
    to: Connecting = AS_SET,
) -> int:
    """Make a code by which one submitter, worker or operator may come in, once."""
    if sum((role is not None, listed, revoke is not None)) != 1:
        raise UsageError("say one of --role R, --list and --revoke ID")
    with connect(to) as client:
        if listed:
            found = client.invites()
            told = {"status": "ok", "invites": [one.model_dump(mode="json") for one in found]}
            out.result(told, _invites(found) if found else "no invites")
            return 0
        if revoke is not None:
            client.revoke_invite(revoke)
            out.result({"status": "revoked", "invite": revoke}, f"invite {revoke} is void")
            return 0
        made = client.invite(role or Role.SUBMITTER, _seconds(expires), label)
    use = "worker" if made.invite.role is Role.WORKER else "login"
    out.result(
        {"status": "made", "code": made.code, **made.invite.model_dump(mode="json")},
        f"{made.code}\nGood for one {made.invite.role.value}, until {made.invite.expires_at:%Y-%m-%d %H:%M} UTC: "
        f"renderbros {use} --dispatcher {client.url} --invite CODE",
    )
    return 0


def login(out: Output, /, invite: _Invite = None, to: Connecting = AS_SET) -> int:
    """Keep a token for a dispatcher, so that other commands go by it: an invite's, a file's, or one that is typed."""
    chosen = to.settings()
    if invite is not None and to.token_file is not None:
        raise UsageError("--invite and --token-file: give one of them")
    if invite is not None:
        token = redeemed(chosen, invite)
    elif to.token_file is not None:
        token = secret_in(to.token_file, "--token-file")
    elif chosen.token:
        token = chosen.token
    elif sys.stdin.isatty():
        token = getpass.getpass(f"Token for {chosen.dispatcher}: ").strip()
    else:
        raise UsageError("give --invite CODE or --token-file FILE, or type the token at a terminal")
    own = keep(chosen, token)
    told = {"status": "done", "dispatcher": chosen.dispatcher, "role": own.role.value, "account": own.id}
    out.result(told, f"signed in at {chosen.dispatcher} as {own.role.value} {own.name}")
    return 0


def logout(out: Output, /, to: Connecting = AS_SET) -> int:
    """Forget the token that login keeps for a dispatcher, and have it revoked there if that can be."""
    chosen = to.settings()
    try:
        revoked = forget(chosen)
    except (ClientError, UsageError) as error:
        out.note(f"the token could not be revoked: {error}")
        revoked = False
    if revoked is None:
        out.result({"status": "done", "revoked": False}, f"no token is kept for {chosen.dispatcher}")
    else:
        out.result({"status": "done", "revoked": revoked}, f"signed out of {chosen.dispatcher}")
    return 0


def redeemed(chosen: settings.Settings, invite: str) -> str:
    """The token for an invite; UsageError where it could be read on the way."""
    with client_for(chosen, None) as client:
        try:
            return client.redeem(invite, getpass.getuser()).token
        except ValueError as error:
            raise UsageError(str(error)) from None


def keep(chosen: settings.Settings, token: str) -> TokenView:
    """Keep ``token`` if the dispatcher knows it; whose it is."""
    with client_for(chosen, token) as client:
        own = own_of(client.tokens())
    kept = Kept(token, own.role.value, own.id, ca=str(chosen.ca.absolute()) if chosen.ca else None, pin=chosen.pin)
    try:
        Credentials(chosen.credentials).keep(chosen.dispatcher, kept)
    except OSError as error:
        raise CommandError(f"the token can't be kept in {chosen.credentials}: {error}") from error
    return own


def forget(chosen: settings.Settings) -> bool | None:
    """Forget the token that is kept, and have it revoked; None if there is none. ClientError if it was not revoked."""
    kept = kept_for(chosen)
    if kept is None:
        return None
    try:
        with client_for(chosen, kept.token, kept) as client:
            client.revoke_token(own_of(client.tokens()).id)
    except Refused:
        return True  # It opens nothing there as it is.
    finally:
        Credentials(chosen.credentials).drop(chosen.dispatcher)
    return True


def tokens(
    out: Output,
    /,
    what: Annotated[str, typer.Argument(metavar="[list|revoke|void|rotate]", help="What to do.")] = "list",
    whose: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="Of the token to revoke; or the id or name of a worker whose token is to be void.",
            show_default=False,
        ),
    ] = None,
    to: Connecting = AS_SET,
) -> int:
    """List who has a token, revoke one, change one's own for another, or make a worker's void."""
    if what not in ("list", "revoke", "void", "rotate") or (what in ("revoke", "void")) != (whose is not None):
        raise UsageError("say list, revoke ID, void WORKER or rotate")
    chosen = to.settings()
    with connect(to) as client:
        if what == "revoke" and whose is not None:
            client.revoke_token(whose)
            out.result({"status": "revoked", "token": whose}, f"token {whose} opens nothing any more")
        elif what == "void" and whose is not None:
            worker = client.renew_worker_token(find_worker(client, whose).id)
            out.result(
                {"status": "void", "worker": worker.model_dump(mode="json")},
                f"the token of {worker.name} opens nothing any more. Whoever has the secret in its data folder gets "
                f"another one, as the worker itself does by and by; to keep it out, say: renderbros ban {worker.id}",
            )
        elif what == "rotate":
            before = kept_for(chosen)
            kept = before is not None and before.token == client.token
            made = client.rotate_token()
            if before is not None and kept:
                Credentials(chosen.credentials).keep(
                    chosen.dispatcher,
                    Kept(made.token, made.account.role.value, made.account.id, before.data, before.ca, before.pin),
                )
            told = {"status": "rotated", **made.account.model_dump(mode="json")}
            words = (
                "the token is changed, and the new one kept" if kept else f"The new token, told only now: {made.token}"
            )
            out.result(told | ({} if kept else {"token": made.token}), words)
        else:
            found = client.tokens()
            told = {"status": "ok", "tokens": [one.model_dump(mode="json") for one in found]}
            out.result(told, _tokens(found))
    return 0


def own_of(found: tuple[TokenView, ...]) -> TokenView:
    """The caller's own."""
    return next(one for one in found if one.own)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6}) ?([smhd])", text.strip().lower())
    if not found or not 60 <= int(found[1]) * _UNITS[found[2]] <= 30 * 86400:
        raise UsageError(f"--expires: from 1m to 30d, written 30m, 24h or 7d, not {text!r}")
    return float(int(found[1]) * _UNITS[found[2]])


def _invites(found: tuple[InviteView, ...]) -> Table:
    table = Table(Column("id", no_wrap=True), "role", "label", "until", "state", "by", box=None, pad_edge=False)
    for one in found:
        state = "revoked" if one.revoked_at else "used" if one.used_at else "open"
        table.add_row(
            one.id, one.role.value, Text(one.label), f"{one.expires_at:%Y-%m-%d %H:%M}", state, one.used_by or ""
        )
    return table


def _tokens(found: tuple[TokenView, ...]) -> Table:
    table = Table(Column("id", no_wrap=True), "role", "name", "made", "last used", "state", box=None, pad_edge=False)
    for one in found:
        used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
        state = "revoked" if one.revoked_at else "yours" if one.own else "live"
        table.add_row(one.id, one.role.value, Text(one.name), f"{one.created_at:%Y-%m-%d %H:%M}", used, state)
    return table
