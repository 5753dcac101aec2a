"""Sees that somebody can come in: the operator of a farm's first start, and whom the configuration names."""

from __future__ import annotations

import logging

from ..protocol.access import InviteRequest, Role
from . import accounts, invites, tokens
from .config import DispatcherConfig
from .errors import ConfigurationError
from .store import Store, Tx

security = logging.getLogger("renderbros.security")


def let_in(store: Store, config: DispatcherConfig) -> str | None:
    """See that there is an operator, and that those whom the configuration names may come in.

    Returns the token of an operator that was made because there was none: nobody learns it later.
    """
    given = config.operator_token
    token = given or tokens.new_secret(tokens.OPERATOR)

    def change(tx: Tx) -> bool:
        for code in config.worker_invites:
            invites.make(tx, InviteRequest(role=Role.WORKER, label="of this machine", seconds=600), code, None)
        known = accounts.of_hash(tx.conn, token)
        if known is not None and (not accounts.is_live(known, tx.now) or known.token_hash != tokens.digest(token)):
            raise ConfigurationError(
                "The operator's token that this dispatcher was given was revoked or changed: give it another one, "
                "or none."
            )
        if known is not None or (given is None and accounts.operators(tx.conn, tx.now)):
            return False
        accounts.make(tx, Role.OPERATOR, "operator", token)
        return True

    if not store.change(change) or given is not None:
        return None
    security.info("operator's token made at the first start")
    return token


def new_operator(config: DispatcherConfig) -> str:
    """Make another operator on a dispatcher's database, whether it runs or not; returns the token."""
    config.data.mkdir(parents=True, exist_ok=True)
    store = Store(config.database_url)
    token = tokens.new_secret(tokens.OPERATOR)
    try:
        store.migrate()
        made = store.change(lambda tx: accounts.make(tx, Role.OPERATOR, "operator", token))
    finally:
        store.close()
    security.warning("operator's token made on the dispatcher's machine", extra={"account": made.id})
    return token
