"""What keeps RenderBros from starting, said to a person."""


class Problem(Exception):
    """What is wrong and what to do about it; ``exit_code`` is the process's."""

    def __init__(self, message, exit_code=1):  # type: (str, int) -> None
        super().__init__(message)
        self.exit_code = exit_code
