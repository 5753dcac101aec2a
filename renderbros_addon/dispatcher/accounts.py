"""The account's state machine: live, and then one end: expired or revoked. Each has one token, which it can change.

Submitters and operators have accounts; workers are their own room's business.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, or_, select, update

from ..protocol.access import Role, TokenView
from . import invites, tokens
from .errors import Conflict, Forbidden, NotFound
from .prepared import Prepared
from .store import Tx, new_id
from .tables import AnyRow, accounts, blob_owners

GRACE = timedelta(seconds=60)
"""How long the token before a rotation is still good: for what is under way, and for an answer that gets lost."""

NOTED_EVERY = timedelta(minutes=5)
"""Between two notes of when an account was last used; each costs a write."""

PREFIXES = {Role.OPERATOR: tokens.OPERATOR, Role.SUBMITTER: tokens.SUBMITTER}

MOST = 1000
"""Accounts in a list."""

_BY_TOKEN = Prepared(select(accounts).where(accounts.c.token_hash == bindparam("token")))
_BY_OLD_TOKEN = Prepared(
    select(accounts).where(accounts.c.old_hash == bindparam("token"), accounts.c.old_until > bindparam("now"))
)
_OWNS = Prepared(
    select(blob_owners.c.sha256).where(
        blob_owners.c.account == bindparam("who"), blob_owners.c.sha256 == bindparam("what")
    )
)


def make(tx: Tx, role: Role, name: str, token: str, invite: str | None = None) -> AnyRow:
    """A new account with ``token``; ``invite`` is the id of the invite that it comes by."""
    account_id = new_id()
    tx.conn.execute(
        insert(accounts).values(
            id=account_id,
            role=role,
            name=name,
            token_hash=tokens.digest(token),
            invite=invite,
            created_at=tx.now,
        )
    )
    tx.emit("account.made", account=account_id, role=role, invite=invite)
    return load(tx.conn, account_id)


def redeem(tx: Tx, code: str, name: str, token: str) -> AnyRow:
    """Spend an invite on an account with ``token``. The same again gives the same account."""
    invite = invites.find(tx, code, (Role.SUBMITTER, Role.OPERATOR))
    if invite.used_by is not None:
        known = tx.conn.execute(select(accounts).where(accounts.c.id == invite.used_by)).first()
        if known is not None and known.token_hash == tokens.digest(token):
            return known
    account = make(tx, Role(invite.role), name or invite.label or invite.role, token, invite.id)
    invites.use(tx, invite, account.id)
    return account


def find(conn: Connection, account_id: str) -> AnyRow | None:
    """An account, live or not."""
    return conn.execute(select(accounts).where(accounts.c.id == account_id)).first()


def load(conn: Connection, account_id: str) -> AnyRow:
    row = find(conn, account_id)
    if row is None:
        raise NotFound(f"there is no token {account_id}", word="unknown_token")
    return row


def by_token(conn: Connection, token: str, now: datetime) -> AnyRow | None:
    """The live account that ``token`` belongs to, or that of before a rotation a moment ago; None if there is none."""
    row = _BY_TOKEN.first(conn, token=tokens.digest(token))
    if row is None:
        row = _BY_OLD_TOKEN.first(conn, token=tokens.digest(token), now=now)
    return row if row is not None and is_live(row, now) else None


def is_live(account: AnyRow, now: datetime) -> bool:
    return account.revoked_at is None and (account.expires_at is None or account.expires_at > now)


def used(tx: Tx, account_id: str) -> None:
    """Note that it was used just now."""
    tx.conn.execute(update(accounts).where(accounts.c.id == account_id).values(last_used_at=tx.now))


def revoke(tx: Tx, account_id: str) -> None:
    """Its token opens nothing any more. Conflict for the last operator's: nobody could make another one."""
    account = load(tx.conn, account_id)
    if account.revoked_at is not None:
        return
    if account.role == Role.OPERATOR and operators(tx.conn, tx.now) <= 1:
        raise Conflict(
            "this is the last operator's token: make another one first, by an invite or by "
            "dispatcher --new-operator-token on the dispatcher's machine",
            word="last_operator",
        )
    tx.conn.execute(update(accounts).where(accounts.c.id == account_id).values(revoked_at=tx.now, old_until=None))
    invites.revoke_made_by(tx, account_id)
    tx.emit("account.revoked", account=account_id, role=account.role)


def rotate(tx: Tx, account_id: str, token: str, by: str) -> AnyRow:
    """Give an account another token; the one before is good for :data:`GRACE`. The same again changes nothing.

    ``by`` is the token that asks: Forbidden for the one before, or whoever stole it could keep the account.
    """
    account = load(tx.conn, account_id)
    if account.token_hash != tokens.digest(token):
        if account.token_hash != tokens.digest(by):
            raise Forbidden("this token was changed for another one already, and only that one changes it again")
        tx.conn.execute(
            update(accounts)
            .where(accounts.c.id == account_id)
            .values(token_hash=tokens.digest(token), old_hash=account.token_hash, old_until=tx.now + GRACE)
        )
        tx.emit("account.rotated", account=account_id, role=account.role)
    return load(tx.conn, account_id)


def _live(now: datetime) -> ColumnElement[bool]:
    return accounts.c.revoked_at.is_(None) & or_(accounts.c.expires_at.is_(None), accounts.c.expires_at > now)


def operators(conn: Connection, now: datetime) -> int:
    """How many live operators there are."""
    query = select(func.count()).where(accounts.c.role == Role.OPERATOR, _live(now))
    return int(conn.execute(query).scalar_one())


def an_operator(conn: Connection, now: datetime) -> AnyRow | None:
    """The live operator that has been there longest."""
    query = select(accounts).where(accounts.c.role == Role.OPERATOR, _live(now)).order_by(accounts.c.created_at)
    return conn.execute(query.limit(1)).first()


def of_hash(conn: Connection, token: str) -> AnyRow | None:
    """The account that ``token`` belongs to or once belonged to, live or not."""
    told = tokens.digest(token)
    return conn.execute(
        select(accounts).where(or_(accounts.c.token_hash == told, accounts.c.old_hash == told)).limit(1)
    ).first()


def view(row: AnyRow, caller: str | None = None) -> TokenView:
    return TokenView(
        id=row.id,
        role=Role(row.role),
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        own=row.id == caller,
    )


def views(conn: Connection, caller: str, *, everybody: bool) -> tuple[TokenView, ...]:
    """All accounts, or the caller's own."""
    query = select(accounts).order_by(accounts.c.created_at, accounts.c.id).limit(MOST)
    if not everybody:
        query = query.where(accounts.c.id == caller)
    return tuple(view(row, caller) for row in conn.execute(query))


# Whose blobs are whose


def owns_blob(conn: Connection, account_id: str, sha256: str) -> bool:
    """Has it sent every byte of this blob?"""
    return _OWNS.first(conn, who=account_id, what=sha256) is not None


def owned(conn: Connection, account_id: str, digests: list[str]) -> set[str]:
    """Which of ``digests`` it has sent every byte of."""
    found: set[str] = set()
    for start in range(0, len(digests), 500):
        some = digests[start : start + 500]
        rows = conn.execute(
            select(blob_owners.c.sha256).where(blob_owners.c.account == account_id, blob_owners.c.sha256.in_(some))
        )
        found.update(rows.scalars())
    return found


def own_blob(tx: Tx, account_id: str, sha256: str) -> None:
    """It has sent every byte of this blob."""
    if not owns_blob(tx.conn, account_id, sha256):
        tx.conn.execute(insert(blob_owners).values(account=account_id, sha256=sha256, at=tx.now))
