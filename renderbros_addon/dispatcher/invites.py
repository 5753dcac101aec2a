"""The invite's state machine: open, and then one end: used, expired or revoked.

An invite is good for one account, or one worker, of its role. The dispatcher keeps the digest of its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, insert, select, update

from ..protocol.access import InviteRequest, InviteView, Role
from . import tokens
from .errors import Forbidden, LostRace, NotFound
from .store import Tx, new_id
from .tables import AnyRow, invites

MOST = 500
"""Invites in a list, the newest first."""


def make(tx: Tx, wanted: InviteRequest, code: str, by: str | None) -> AnyRow:
    """Let ``code`` invite; made already, it stays as it is. ``by`` is the operator's account; None for this machine."""
    known = _of_code(tx.conn, code)
    if known is not None:
        return known
    invite_id = new_id()
    tx.conn.execute(
        insert(invites).values(
            id=invite_id,
            role=wanted.role,
            label=wanted.label,
            code_hash=tokens.digest(code),
            created_at=tx.now,
            created_by=by,
            expires_at=tx.now + timedelta(seconds=wanted.seconds),
        )
    )
    tx.emit("invite.made", invite=invite_id, role=wanted.role, by=by)
    return load(tx.conn, invite_id)


def load(conn: Connection, invite_id: str) -> AnyRow:
    row = conn.execute(select(invites).where(invites.c.id == invite_id)).first()
    if row is None:
        raise NotFound(f"there is no invite {invite_id}", word="unknown_invite")
    return row


def _of_code(conn: Connection, code: str) -> AnyRow | None:
    return conn.execute(select(invites).where(invites.c.code_hash == tokens.digest(code))).first()


def role_of(conn: Connection, code: str) -> Role | None:
    """Whom ``code`` invites; None if nobody."""
    invite = _of_code(conn, code)
    return None if invite is None else Role(invite.role)


def find(tx: Tx, code: str, roles: Sequence[Role]) -> AnyRow:
    """The invite of ``code``, for one of ``roles``, used or open; Forbidden if it is over otherwise, or unknown."""
    invite = _of_code(tx.conn, code)
    if invite is None:
        raise _refused("this dispatcher gave out no such invite")
    if Role(invite.role) not in roles:
        raise _refused(f"this invite is for a {invite.role}, not for a {' or '.join(roles)}", invite.id)
    if invite.revoked_at is not None:
        raise _refused("this invite was revoked: ask the operator for another one", invite.id)
    if invite.used_at is None and invite.expires_at <= tx.now:
        raise _refused("this invite has expired: ask the operator for another one", invite.id)
    return invite


def revoke_made_by(tx: Tx, account_id: str) -> None:
    """An operator is one no more: the open invites that it made are void."""
    mine = tx.conn.execute(
        select(invites.c.id).where(
            invites.c.created_by == account_id, invites.c.used_at.is_(None), invites.c.revoked_at.is_(None)
        )
    )
    for invite_id in mine.scalars().all():
        revoke(tx, invite_id)


def use(tx: Tx, invite: AnyRow, by: str) -> None:
    """Spend an invite on the account or worker ``by``; Forbidden if it was spent before."""
    if invite.used_at is not None:
        raise _refused("this invite was used, and each is good for one: ask the operator for another", invite.id)
    used = tx.conn.execute(
        update(invites).where(invites.c.id == invite.id, invites.c.used_at.is_(None)).values(used_at=tx.now, used_by=by)
    )
    if used.rowcount != 1:
        raise LostRace(f"invite {invite.id} was used meanwhile")
    tx.emit("invite.used", invite=invite.id, role=invite.role, by=by)


def _refused(why: str, invite_id: str | None = None) -> Forbidden:
    return Forbidden(why, word="bad_invite", extra={"invite": invite_id} if invite_id else None)


def revoke(tx: Tx, invite_id: str) -> None:
    """Nobody can use it any more; one that was used stays so, and so does what it made."""
    invite = load(tx.conn, invite_id)
    if invite.revoked_at is None and invite.used_at is None:
        tx.conn.execute(update(invites).where(invites.c.id == invite_id).values(revoked_at=tx.now))
        tx.emit("invite.revoked", invite=invite_id)


def view(row: AnyRow) -> InviteView:
    return InviteView(
        id=row.id,
        role=Role(row.role),
        label=row.label,
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        used_at=row.used_at,
        used_by=row.used_by,
        revoked_at=row.revoked_at,
    )


def views(conn: Connection) -> tuple[InviteView, ...]:
    """All invites, the newest first."""
    rows = conn.execute(select(invites).order_by(invites.c.created_at.desc(), invites.c.id).limit(MOST))
    return tuple(map(view, rows))
