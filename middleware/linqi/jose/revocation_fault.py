"""What follows where the revocation check of a token fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from linqi import events
from linqi.errors import LinqiError, Unavailable
from linqi.events.dispatcher import Dispatcher

if TYPE_CHECKING:
    from linqi.events import Event

__all__ = ["RevocationFault"]


class RevocationFault:
    """What a verifier does where ``is_revoked`` raises.

    Args:
        report: Receives `RevocationFailed`; without a hook the error is logged.
        choice: ``"open"`` if the token is then accepted, else ``"closed"``.

    """

    def __init__(self, report: Dispatcher[Event], choice: str) -> None:
        self._report = report
        self._is_served = choice == "open"

    def __call__(self, error: Exception) -> None:
        """Report `error`, and raise `Unavailable` unless the token is accepted."""
        detail = str(error) if isinstance(error, LinqiError) else type(error).__name__
        self._report(events.RevocationFailed(detail=detail))
        if not self._report:
            logging.getLogger("linqi").error("revocation check failed", exc_info=error)
        if self._is_served:
            return
        if isinstance(error, Unavailable):
            raise error
        raise Unavailable(f"the revocation check raised {type(error).__name__}") from error
