"""Quiet requests, which never extend a session, such as the polls of a page."""

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

    The presence of the header counts, not its value, so the header can only prevent a renewal,
    never cause one. A path that several programs could read differently is not quiet.

    Args:
        paths: Exact paths, or whole leading segments such as ``/events/*``.
        header: The name of the header, which must begin with ``X-``, so that browsers never send
            it on their own; None for no header.

    Raises:
        ConfigurationError: A path or the name of the header has another form.

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
        """Return whether the request of `scope` is quiet."""
        if self._rules.access(scope) is Access.QUIET:
            return True
        return self._header is not None and find_header(scope["headers"], self._header) is not None
