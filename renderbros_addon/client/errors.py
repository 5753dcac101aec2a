"""What may go wrong between here and the dispatcher."""

from __future__ import annotations

from ..protocol.problems import Problem


class ClientError(Exception):
    """Anything that went wrong while talking to the dispatcher; the message is for people."""


class DispatcherUnreachable(ClientError):
    """No answer within the time given to retries, or none that can ever come (a bad certificate)."""


class Stopped(DispatcherUnreachable):
    """The stop event was set before an answer came."""


class Untrusted(DispatcherUnreachable):
    """Its certificate is not one we trust; trying again would not help."""


class DispatcherError(ClientError):
    """The dispatcher answered that it can't or won't. ``problem`` is what it said."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)
        self.problem = problem

    @property
    def word(self) -> str:
        """The problem's kind in a word, such as ``unknown_job``."""
        return self.problem.type.rpartition("/")[2]


class NotFound(DispatcherError):
    """404 or 410: there is no such thing."""


class Conflict(DispatcherError):
    """409: it is in a state that does not allow this."""


class Refused(DispatcherError):
    """401 or 403: no token, a wrong one, or not for this."""


class WrongDigest(ClientError):
    """The bytes of a blob do not have the SHA-256 they should have; what was received is thrown away."""


def error_for(problem: Problem) -> DispatcherError:
    """The error class that fits a problem's status."""
    kinds = {401: Refused, 403: Refused, 404: NotFound, 409: Conflict, 410: NotFound}
    return kinds.get(problem.status, DispatcherError)(problem)
