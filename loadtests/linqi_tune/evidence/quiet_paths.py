"""Which requests of a log are quiet: those that extend no session (`linqi.asgi.quiet`)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from linqi.asgi._http import Access, PathRules

__all__ = ["QuietPaths"]


class QuietPaths:
    """Recognises quiet requests by their target in a log.

    The paths are read as the middleware reads `quiet`; a query, and an origin before the path, are
    ignored.

    Raises:
        ConfigurationError: The middleware would not accept one of the paths.

    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._rules = PathRules(quiet=paths)
        self.is_empty = self._rules.is_empty

    def include(self, target: str) -> bool:
        """Check whether a request for `target`, such as ``/polls?since=1``, is quiet."""
        if not target.startswith("/"):
            try:
                target = urlsplit(target).path
            except ValueError:
                return False
        raw = target.partition("?")[0]
        scope = {"path": unquote(raw), "raw_path": raw.encode("utf-8", "replace")}
        return self._rules.access(scope) is Access.QUIET
