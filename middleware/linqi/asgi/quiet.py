"""Requests that never extend a session: what a page asks by itself, such as a poll."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from linqi.asgi._http import Access, PathRules, Scope, find_header
from linqi.errors import ConfigurationError

__all__ = ["QuietRequests"]

_NAME: Final = re.compile(r"[Xx]-[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class QuietRequests:
    """Recognises quiet requests by their path, or by a header that the client sends.

    The header's presence counts, whatever its value, so it can only make a request quieter: no
    client gets a renewal by it. A path that several programs could read differently is not quiet.

    Args:
        paths: Exact paths, or whole leading segments such as ``/events/*``.
        header: The name of the header, which begins with ``X-`` so that it is none that browsers
            send by themselves; None where no header counts.

    Raises:
        ConfigurationError: A path or the header's name is not of that form.

    """

    def __init__(self, paths: Iterable[str] = (), header: str | None = None) -> None:
        self._rules = PathRules(quiet=paths)
        if header is not None and not _NAME.fullmatch(header):
            raise ConfigurationError(
                [f"the quiet header {header!r} is not a header name that begins with 'X-'"]
            )
        self._header = None if header is None else header.lower().encode("ascii")
        self.is_empty = self._rules.is_empty and header is None

    def includes(self, scope: Scope) -> bool:
        """Check whether the request of `scope` is quiet."""
        if self._rules.access(scope) is Access.QUIET:
            return True
        return self._header is not None and find_header(scope["headers"], self._header) is not None
