"""The name of an event outside the process: in JSON lines and in spans."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["event_name"]

_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def event_name(event: type[Any]) -> str:
    """Return the name of a type of events, such as ``token_renewed``."""
    return _WORD.sub("_", event.__name__).lower()
