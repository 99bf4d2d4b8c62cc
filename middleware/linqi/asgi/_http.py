"""ASGI scopes, paths and headers, read and written without loss."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias

from linqi.errors import ConfigurationError, InvalidRequest

__all__ = [
    "ASGIApp",
    "Access",
    "Headers",
    "Message",
    "PathRules",
    "Receive",
    "Scope",
    "Send",
    "client_address",
    "find_header",
    "find_single",
    "is_misplaced",
    "is_odd",
    "is_preflight",
    "merge_list",
    "read_once",
    "route_path",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_ODD_ESCAPES = (b"%2f", b"%5c", b"%2e", b"%00")
# What is left after decoding: a second escape, path parameters (RFC 3986, 3.3), control characters.
_ODD_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f%;\\]")


class Access(Enum):
    """What a path requires of a request."""

    GUARDED = "guarded"
    OPTIONAL = "optional"
    PUBLIC = "public"
    QUIET = "quiet"
    """Guarded, and a request for it does not extend a session."""


class PathRules:
    """Which paths are not guarded, by exact match or whole leading segments (``/static/*``).

    ``scope["path"]`` without ``root_path`` is compared, never a URL that contains the client's
    Host (Starlette, CVE-2026-48710). A path that several programs could read differently is
    guarded, whatever it matches: one with empty or dot segments, backslashes, an escaped slash,
    or ``%``, ``;`` or a control character left after decoding.

    Args:
        public: Paths whose requests are served without looking at a token.
        optional: Paths whose requests are verified only if they carry a token.
        quiet: Paths whose requests do not extend a session.

    Raises:
        ConfigurationError: A path does not start with a slash, has a ``*`` elsewhere than in a
            final ``/*``, or could be read differently by several programs.

    """

    def __init__(
        self,
        public: Iterable[str] = (),
        optional: Iterable[str] = (),
        quiet: Iterable[str] = (),
    ) -> None:
        self._exact: dict[str, Access] = {}
        self._below: list[tuple[str, Access]] = []
        faults: list[str] = []
        for paths, access in (
            (public, Access.PUBLIC),
            (optional, Access.OPTIONAL),
            (quiet, Access.QUIET),
        ):
            faults += self._add(paths, access)
        if faults:
            raise ConfigurationError(faults)
        self.is_empty = not self._exact and not self._below

    def access(self, scope: Scope) -> Access:
        """Return what the path of `scope` requires; `Access.GUARDED` unless a rule matches."""
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root:
            path = route_path(scope)
        found = self._exact.get(path)
        if found is None:
            for prefix, access in self._below:
                if path.startswith(prefix):
                    found = access
                    break
            else:
                return Access.GUARDED
        odd = is_odd(path, scope.get("raw_path")) or (root and is_misplaced(path, scope))
        return Access.GUARDED if odd else found

    def _add(self, paths: Iterable[str], access: Access) -> list[str]:
        if isinstance(paths, str):
            return [f"{access.value} is a string; give a list of paths"]
        faults = []
        for path in paths:
            if not isinstance(path, str) or not path.startswith("/"):
                faults.append(f"the {access.value} path {path!r} does not start with '/'")
            elif "*" in path.removesuffix("/*"):
                faults.append(f"the {access.value} path {path!r}: '*' is only read in a final '/*'")
            elif is_odd(path, None):
                faults.append(
                    f"the {access.value} path {path!r} opens nothing: paths with empty or dot"
                    " segments, '%', ';', backslashes or control characters are always guarded"
                )
            elif path.endswith("/*"):
                self._below.append((path[:-1], access))
            else:
                self._exact[path] = access
        return faults


def read_once(scope: Scope) -> Scope:
    """Return a copy of `scope` whose iterables can be read again.

    ASGI allows any iterable for the headers and each header in them, for ``client``, ``server``
    and ``subprotocols``: also iterators, which the first reader would use up.
    """
    copy = dict(scope)
    copy["headers"] = [tuple(header) for header in scope["headers"]]
    for name in ("client", "server"):
        if copy.get(name) is not None:
            copy[name] = tuple(copy[name])
    if copy.get("subprotocols") is not None:
        copy["subprotocols"] = list(copy["subprotocols"])
    return copy


def client_address(scope: Scope) -> str:
    """Return the peer's address, or an empty string if the server does not name one.

    Call it only where the request is answered without the application: ``client`` may be a
    one-shot iterator.
    """
    return str(next(iter(scope.get("client") or ()), ""))


def find_header(headers: Headers, wanted: bytes) -> bytes | None:
    """Return the first value of the header `wanted` (lower case), or None."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


def find_single(headers: Headers, wanted: bytes) -> bytes | None:
    """Return the only value of the header `wanted` (lower case), or None.

    Raises:
        InvalidRequest: The request has the header more than once. Two programs that handle one
            request may read different values, so no value is trusted.

    """
    found = None
    for name, value in headers:
        if name == wanted:
            if found is not None:
                raise InvalidRequest(f"more than one {wanted.decode('ascii')} header")
            found = value
    return found


def is_preflight(headers: Headers) -> bool:
    """Return whether an OPTIONS request is a CORS preflight (H7)."""
    return (
        find_header(headers, b"origin") is not None
        and find_header(headers, b"access-control-request-method") is not None
    )


def merge_list(headers: list[tuple[bytes, bytes]], name: bytes, values: Iterable[bytes]) -> None:
    """Add `values` to the comma-separated header `name`, once each; existing values stay."""
    there = [value for key, value in headers if key.lower() == name]
    items = [item.strip() for value in there for item in value.split(b",") if item.strip()]
    if b"*" in items and name == b"vary":
        return
    known = {item.lower() for item in items}
    items += [value for value in values if value.lower() not in known]
    headers[:] = [header for header in headers if header[0].lower() != name]
    headers.append((name, b", ".join(items)))


def route_path(scope: Scope) -> str:
    """Return the path of `scope` below ``root_path``, which routes are compared with."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return path


def is_misplaced(path: str, scope: Scope) -> bool:
    """Return whether ``root_path`` is in the path, but not its first segments.

    Litestar and Quart take it off wherever it is: they would serve ``/apiadmin`` as ``/admin``.

    Args:
        path: What `route_path` returned.
        scope: The ASGI scope.

    """
    root: str = scope.get("root_path", "")
    return bool(root) and root != "/" and path == scope["path"] and root in path


def is_odd(path: str, raw_path: bytes | None) -> bool:
    """Return whether several programs could read `path` differently (`PathRules`)."""
    if "//" in path or _ODD_CHARACTERS.search(path) is not None:
        return True
    if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
        return True
    if raw_path is not None and b"%" in raw_path:
        lowered = raw_path.lower()
        return any(escape in lowered for escape in _ODD_ESCAPES)
    return False
