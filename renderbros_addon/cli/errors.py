"""What ends a command, and with which exit code."""

from __future__ import annotations

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
MISMATCH, INCONCLUSIVE, BAD_INPUT = 1, 2, 3
"""Of ``verify`` alone, whose 0 is a match."""


class CommandError(Exception):
    """A command can't go on. The message says what, where and what to do; ``detail`` goes into the JSON object."""

    exit_code = FAILED

    def __init__(self, message: str, *, status: str = "failed", **detail: object) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class Interrupted(CommandError):
    """Someone pressed Ctrl-C; the message says what goes on all the same."""

    exit_code = INTERRUPTED

    def __init__(self, message: str = "interrupted", **detail: object) -> None:
        super().__init__(message, status="interrupted", **detail)


class BadInput(CommandError):
    """``verify`` can't give a verdict; its exit codes 1 and 2 are verdicts."""

    exit_code = BAD_INPUT

    def __init__(self, message: str) -> None:
        super().__init__(message, status="bad_input")


class UsageError(CommandError):
    """The command was called in a way that can't work, whatever the state of the world."""

    exit_code = USAGE

    def __init__(self, message: str) -> None:
        super().__init__(message, status="usage_error")
