"""``/invites`` and ``/tokens``: who comes in, by what, and who goes.

Answers that tell a secret are not kept for a retry as others are, since no secret is kept here: the secret is made of
the request's key and of what the caller has shown that it knows, so the same request gives the same secret again.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Header, Request

from ..protocol.access import (
    InviteList,
    InviteMade,
    InviteRequest,
    Redemption,
    Role,
    Ticket,
    TokenList,
    TokenMade,
)
from ..protocol.base import Identifier
from . import accounts, invites, tokens
from .bodies import JsonRoute
from .dependencies import CallingAccount, CallingOperator, Credentials, Service, Stranger, address_of
from .errors import Forbidden, NotFound, Unauthorized
from .problems import DOCUMENTED
from .rates import Limited
from .sessions import TICKET_SECONDS

security = logging.getLogger("renderbros.security")

router = APIRouter(tags=["access"], responses=DOCUMENTED, route_class=JsonRoute)

RetryKey = Annotated[
    str | None,
    Header(
        alias="idempotency-key", min_length=1, max_length=200, description="The same for every retry of one change."
    ),
]


def _secret(prefix: str, known: str, purpose: str, key: str | None) -> str:
    """A fresh secret; with a ``key``, the same again for whoever shows that it knows ``known``."""
    return tokens.new_secret(prefix) if key is None else tokens.derived(prefix, known, f"{purpose}\n{key}")


@router.post("/invites", status_code=201)
def make_invite(
    wanted: InviteRequest,
    request: Request,
    service: Service,
    caller: CallingOperator,
    credentials: Credentials,
    key: RetryKey = None,
) -> InviteMade:
    """Invite somebody: the code in the answer is good once."""
    token = credentials.credentials if credentials else ""
    code = _secret(tokens.INVITE, token, f"invite {wanted.model_dump_json()}", key)
    made = service.store.change(lambda tx: invites.view(invites.make(tx, wanted, code, caller.id)))
    security.info(
        "invite made for a %s",
        made.role,
        extra={"invite": made.id, "caller": caller.id, "address": address_of(request)},
    )
    return InviteMade(invite=made, code=code)


@router.get("/invites")
def list_invites(service: Service, _: CallingOperator) -> InviteList:
    """The newest first, used and expired ones too; never their codes."""
    with service.store.read() as conn:
        return InviteList(invites=invites.views(conn))


@router.delete("/invites/{invite_id}", status_code=204)
def revoke_invite(invite_id: Identifier, request: Request, service: Service, caller: CallingOperator) -> None:
    """Nobody can use it any more; what it has made stays."""
    service.store.change(lambda tx: invites.revoke(tx, invite_id))
    security.info("invite revoked", extra={"invite": invite_id, "caller": caller.id, "address": address_of(request)})


@router.post("/tokens", status_code=201)
def redeem(given: Redemption, service: Service, address: Stranger, key: RetryKey = None) -> TokenMade:
    """Become a submitter or an operator by an invite. The token in the answer is told only here."""
    # Which prefix it gets is known once the invite is.
    try:
        with service.store.read() as conn:
            role = invites.role_of(conn, given.code)
        token = _secret(tokens.OPERATOR if role is Role.OPERATOR else tokens.SUBMITTER, given.code, "redeem", key)
        account = service.store.change(lambda tx: accounts.view(accounts.redeem(tx, given.code, given.name, token)))
    except Forbidden as refusal:
        service.rates.take(Limited.INVITES, address)
        security.warning("invite refused: %s", refusal.detail, extra={"address": address})
        raise
    security.info("invite used by a new %s", account.role, extra={"caller": account.id, "address": address})
    return TokenMade(account=account, token=token)


@router.get("/tokens")
def list_tokens(service: Service, caller: CallingAccount) -> TokenList:
    """Who has a token: all of them for an operator, one's own for others."""
    with service.store.read() as conn:
        everybody = caller.role is Role.OPERATOR
        return TokenList(tokens=accounts.views(conn, caller.id, everybody=everybody))


@router.post("/tokens/rotate")
def rotate(
    request: Request, service: Service, caller: CallingAccount, credentials: Credentials, key: RetryKey = None
) -> TokenMade:
    """Another token for the caller; the one before is good for a minute."""
    if credentials is None:
        raise Unauthorized("a token is needed")
    given = credentials.credentials
    token = _secret(accounts.PREFIXES[caller.role], given, "rotate", key)
    account = service.store.change(lambda tx: accounts.view(accounts.rotate(tx, caller.id, token, given), caller.id))
    security.info("token rotated", extra={"caller": caller.id, "address": address_of(request)})
    return TokenMade(account=account, token=token)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: Identifier, request: Request, service: Service, caller: CallingAccount) -> None:
    """A token opens nothing any more: any of them for an operator, one's own for others."""
    if caller.account is not None and token_id != caller.id:
        raise NotFound(f"there is no token {token_id}", word="unknown_token")
    service.store.change(lambda tx: accounts.revoke(tx, token_id))
    security.info("token revoked", extra={"account": token_id, "caller": caller.id, "address": address_of(request)})


@router.post("/events/ticket", status_code=201)
def make_ticket(service: Service, caller: CallingAccount) -> Ticket:
    """For a browser, which can't send a token with a WebSocket: ``/events?ticket=…`` within half a minute, once."""
    return Ticket(ticket=service.signed_in.tickets.make(caller.id), seconds=TICKET_SECONDS)
