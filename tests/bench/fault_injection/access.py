"""How the bench is let in: its operator's token, and invites for workers."""

from __future__ import annotations

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.access import Role

OPERATOR = f"rbo_{'0123456789abcdef' * 4}"


def invite(url: str) -> str:
    """Lets one worker in. DispatcherError while the dispatcher is away."""
    with DispatcherClient(url, OPERATOR, retry_for=0.0, timeout=(1, 5)) as operator:
        return operator.invite(Role.WORKER).code
