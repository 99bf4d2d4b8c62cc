"""What a test asks for and cannot have."""

from __future__ import annotations

from linqi.errors import LinqiError

__all__ = ["CannotTest", "ClockNotMoved"]


class CannotTest(LinqiError):
    """A test asks for something that this application, or this client, cannot give."""

    code = "cannot_test"


class ClockNotMoved(CannotTest):
    """A clock that decides about sessions cannot be moved by a test."""

    code = "clock_not_moved"
