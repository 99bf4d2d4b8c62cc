"""The door to crawler-user-agents: which user agents are programs."""

from __future__ import annotations

import re
from typing import Final

from linqi.errors import ConfigurationError

__all__ = ["is_program"]

_PROGRAMS: Final = re.compile(
    r"(?i)\b(bot|crawler|spider|monitor(ing)?|uptime|health ?check(er)?|kube-probe|prometheus)\b"
    r"|^(curl|wget|python|go-http-client|libwww)\b"
)
"""Programs that say so themselves, beside those of the list."""


def is_program(agent: str) -> bool:
    """Return whether a user agent is a crawler, a monitor or a library of HTTP.

    The list is that of the package crawler-user-agents (MIT licence).

    Raises:
        ConfigurationError: The package is not installed.

    """
    try:
        from crawleruseragents import is_crawler
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["--log needs crawler-user-agents, which is not installed; pip install 'linqi[tune]'"]
        ) from None
    return bool(_PROGRAMS.search(agent)) or bool(is_crawler(agent))
