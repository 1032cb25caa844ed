"""What a server says where it does not do what a message asks."""

from __future__ import annotations

from typing import ClassVar


class RefusedError(Exception):
    """A message that cannot be followed, in words for who sent it.

    Args:
        code: what kind of mistake it is, by OpenEnv's names: VALIDATION_ERROR, SESSION_ERROR, ...
        message: what was wrong, which value, and what would be right.
    """

    STATUS: ClassVar[dict[str, int]] = {
        "INVALID_JSON": 400,
        "UNKNOWN_TYPE": 400,
        "VALIDATION_ERROR": 422,
        "SESSION_ERROR": 404,
        "EXECUTION_ERROR": 409,
        "TOO_LARGE": 413,
        "STORAGE_ERROR": 507,
        "SERVER_ERROR": 500,
        "CAPACITY_REACHED": 503,
    }
    """The status that HTTP gives each."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.STATUS[self.code]

    @property
    def data(self) -> dict[str, str]:
        """Plain data for the wire."""
        return {"message": self.message, "code": self.code}
