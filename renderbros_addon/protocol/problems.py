"""Errors on the wire: RFC 9457 problem documents."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

CONTENT_TYPE = "application/problem+json"


class Problem(BaseModel):
    """``type`` ends in a word for programs; ``detail`` is for people and says what to do."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""

    @property
    def word(self) -> str:
        """The last part of ``type``."""
        return self.type.rpartition("/")[2]
