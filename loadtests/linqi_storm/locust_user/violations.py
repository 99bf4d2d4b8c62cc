"""Violations of the invariants of a storm, as Locust hears of them."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from locust.event import EventHook

from linqi import LinqiError

__all__ = ["StormViolation", "on_storm", "report"]

on_storm: Final = EventHook()  # type: ignore[no-untyped-call]
"""Fired for each violation, with `user`, `rule` (its name in ``linqi storm``) and `what`."""

_log: Final = logging.getLogger("linqi")


class StormViolation(LinqiError):
    """A response broke an invariant."""

    code = "storm_violation"


def report(user: Any, rule: str, what: str) -> None:
    """Fire `on_storm`, and count a failure in the row ``VIOLATION``, which sets the exit code."""
    _log.warning("%s: %s", rule, what)
    on_storm.fire(user=user, rule=rule, what=what)  # type: ignore[no-untyped-call]
    user.environment.events.request.fire(
        request_type="VIOLATION",
        name=rule,
        response_time=0,
        response_length=0,
        response=None,
        context=user.context(),
        exception=StormViolation(rule),
        start_time=time.time(),
        url="",
    )
