"""Who may do what: roles, invites, and the tokens that they come to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from .base import Identifier, Prose, Wire


class Role(StrEnum):
    SUBMITTER = "submitter"
    """Sends jobs, and sees those of its own."""
    WORKER = "worker"
    """Renders, and sees what it needs for the tasks in its hands."""
    OPERATOR = "operator"
    """Runs the farm, and sees everything."""


DAY = 24 * 3600.0
LONGEST_INVITE = 30 * DAY

Label = Annotated[Prose, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""What people call an invite or the holder of a token."""

Code = Annotated[str, StringConstraints(min_length=8, max_length=200, pattern=r"^[!-~]+$")]
"""An invite as it is handed on."""


class InviteRequest(Wire):
    """Body of ``POST /invites``."""

    role: Role
    label: Label = ""
    seconds: float = Field(default=DAY, ge=60, le=LONGEST_INVITE)
    """After which nobody can use it any more."""


class InviteView(Wire):
    id: Identifier
    role: Role
    label: str
    created_at: datetime
    created_by: str | None = None
    """Id of the operator's account."""
    expires_at: datetime
    used_at: datetime | None = None
    used_by: str | None = None
    """Id of the account or the worker that it made."""
    revoked_at: datetime | None = None


class InviteMade(Wire):
    """The only answer that tells the code: the dispatcher keeps its hash."""

    invite: InviteView
    code: str


class InviteList(Wire):
    invites: tuple[InviteView, ...]


class Redemption(Wire):
    """Body of ``POST /tokens``: a submitter's or an operator's invite for a token."""

    code: Code
    name: Label = ""


class TokenView(Wire):
    """The holder of a token; never the token."""

    id: Identifier
    role: Role
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    own: bool = False
    """It is the caller's."""


class TokenMade(Wire):
    """The only answer that tells a token."""

    account: TokenView
    token: str


class TokenList(Wire):
    tokens: tuple[TokenView, ...]


class Ticket(Wire):
    """Opens one WebSocket in the place of a token, for browsers, which can't send a header with it."""

    ticket: str
    seconds: float
