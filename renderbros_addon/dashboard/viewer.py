"""Whoever looks at the pages, and what they may change from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from ..dispatcher import jobs
from ..dispatcher.callers import Caller
from ..dispatcher.errors import Forbidden
from ..dispatcher.service import Dispatcher
from ..dispatcher.store import Tx
from ..protocol.access import Role
from . import signing_in


@dataclass(frozen=True)
class Viewer:
    """Whoever looks at a page, as long as the session lasts."""

    dispatcher: Dispatcher
    session: str

    @classmethod
    def of(cls, request: Request, dispatcher: Dispatcher) -> Viewer:
        return cls(dispatcher, request.cookies.get(signing_in.COOKIE, ""))

    def caller(self) -> Caller:
        """Who it is; Unauthorized once the session is over, or the account."""
        return signing_in.caller_of_session(self.dispatcher, self.session)

    def change(self, work: Callable[[Tx], object], job_id: str | None) -> None:
        """Change a job, or with None a worker. NotFound and Forbidden as the API would say."""
        caller = self.caller()
        if job_id is None and caller.role is not Role.OPERATOR:
            raise Forbidden("this is for operators", word="wrong_role")

        def change(tx: Tx) -> None:
            if job_id is not None:
                jobs.check_account(tx.conn, job_id, caller.account)
            work(tx)

        self.dispatcher.store.change(change)
