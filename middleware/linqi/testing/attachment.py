"""Puts another HTTP client into the remote keys of an application, for the time of a test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from linqi._single_flight import SingleFlight
from linqi.jwks.freshness import Schedule
from linqi.jwks.http import HttpFetch
from linqi.jwks.jwks_client import JwksClient
from linqi.jwks.remote import RemoteKeys

__all__ = ["attach_to"]

_STATE: Final = (
    *("_http", "_jwks_client", "_schedule", "_held", "_skipped", "_last_error", "_has_expired"),
    *("_flight", "_refused", "trusted_until"),
)


def attach_to(keys: RemoteKeys, client: Any) -> Callable[[], None]:
    """Make `keys` request their set by `client`, as after a start; return what undoes it.

    Nothing else of `keys` changes: the issuer, the algorithms, the limits and every check are
    those of the application. A snapshot that is shared with other processes is not touched.
    """
    before = {name: getattr(keys, name) for name in _STATE}
    old = keys._jwks_client
    http = HttpFetch(keys._limits, client)
    _change(
        keys,
        {
            "_http": http,
            "_jwks_client": JwksClient(
                keys.location,
                keys.algorithms,
                settings=old._settings,
                limits=keys._limits,
                fetch=http,
                share=None,
                clock=old._clock,
            ),
            "_schedule": Schedule(settings=old._settings),
            "_held": None,
            "_skipped": (),
            "_last_error": "",
            "_has_expired": False,
            "_flight": SingleFlight(),
            "_refused": 0,
            "trusted_until": -math.inf,
        },
    )
    return lambda: _change(keys, before)


def _change(keys: RemoteKeys, state: dict[str, Any]) -> None:
    for name, value in state.items():
        setattr(keys, name, value)
    keys._unknown.clear()
    keys.generation += 1  # tokens that were verified by other keys are verified again
