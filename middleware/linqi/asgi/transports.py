"""Transports: how a token is read from a request and a successor is put into a response."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from linqi.asgi._http import Headers, Scope, find_single, merge_list
from linqi.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from linqi.sessions.sliding import Issued

__all__ = [
    "CookieTransport",
    "HeaderTransport",
    "NamedHeaderTransport",
    "SubprotocolTransport",
    "Transport",
]

_TOKEN_CHARACTERS: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The safe methods (RFC 9110, section 9.2.1) without TRACE: they change nothing, so CSRF with them
gains nothing."""
_MOST_COOKIE_BYTES: Final = 4096
_OTHER_HEADERS: Final = {
    "cookie": "CookieTransport",
    "sec-websocket-protocol": "SubprotocolTransport",
}


class Transport(Protocol):
    """One place of a request that carries tokens.

    Attributes:
        subprotocol: The WebSocket subprotocol that announces a token, or None.
        successor_header: The response header that carries a successor, in lower case, or None.

    """

    subprotocol: str | None
    successor_header: bytes | None

    def read(self, scope: Scope, headers: Headers) -> bytes | None:
        """Return the token, or None if the request carries none here.

        Raises:
            InvalidRequest: The credential is malformed, or there are several.

        """
        ...

    def deliver(self, issued: Issued, headers: list[tuple[bytes, bytes]], now: float) -> bool:
        """Add a successor to the `headers` of a response, and the ``Vary`` that caches need.

        Args:
            issued: The successor.
            headers: The headers of the response, changed in place.
            now: Unix seconds.

        Returns:
            Whether the response carries the successor; if not, `headers` are unchanged.

        """
        ...


class _OriginCheck:
    """The refusal of CSRF where browsers send a token by themselves.

    Args:
        origins: The origins whose pages may use the token.

    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode("ascii") for origin in origins)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raise `InvalidRequest` for CSRF, and for cross-site hijacking of a WebSocket."""
        is_socket = scope["type"] == "websocket"
        if not is_socket and scope["method"] in _SAFE_METHODS:
            return
        origin = find_single(headers, b"origin")
        site = find_single(headers, b"sec-fetch-site")
        if origin in self._origins:
            return
        if is_socket or origin is not None or site not in (None, b"same-origin", b"none"):
            raise InvalidRequest("the token came from an origin that is not on the list")


class HeaderTransport:
    """Tokens in ``Authorization: Bearer`` (RFC 6750, section 2.1), successors in a header.

    Args:
        successor_header: The response header that carries successors.

    Raises:
        ConfigurationError: `successor_header` is not a header name.

    Attributes:
        header: The request header that carries tokens.
        scheme: The word before the token; None if there is none.

    """

    header: str = "Authorization"
    scheme: str | None = "Bearer"
    subprotocol: str | None = None
    successor_header: bytes | None

    def __init__(self, successor_header: str = "X-Refresh-Token") -> None:
        if not _TOKEN_CHARACTERS.fullmatch(successor_header):
            raise ConfigurationError([f"{successor_header!r} is not a header name"])
        self.successor_header = self._name = successor_header.lower().encode("ascii")

    def read(self, scope: Scope, headers: Headers) -> bytes | None:
        """Return the bearer token, or None if the request carries none or another scheme."""
        found = None
        for name, value in headers:
            if name == b"authorization":
                if found is not None:
                    raise InvalidRequest("more than one Authorization header")
                found = value
        if found is None:
            return None
        if found[:7] == b"Bearer " or found[:7].lower() == b"bearer ":
            return found[7:]
        lowered = found.lower()
        if lowered.strip() == b"bearer" or b"bearer " in lowered or lowered[:7] == b"bearer\t":
            raise InvalidRequest("the Authorization header is not exactly one bearer credential")
        return None

    def deliver(self, issued: Issued, headers: list[tuple[bytes, bytes]], now: float) -> bool:
        """Set the header of the successor, and replace one that the application set."""
        headers[:] = [header for header in headers if header[0].lower() != self._name]
        headers.append((self._name, issued.token.encode("ascii")))
        merge_list(headers, b"vary", (self.header.encode("ascii"), b"Origin"))
        return True


class NamedHeaderTransport(HeaderTransport):
    """Tokens in a header of another name, with a scheme or without one.

    A proxy that signs users in, such as Google's IAP, puts its token into a header of its own. That
    the header is there proves nothing, because any client can send it: the token in it is verified
    like any other.

    Args:
        header: The request header that carries tokens.
        scheme: The word before the token, compared without case; None if the token is the whole
            value.
        origins: For a header that a proxy makes of a cookie, which browsers send by themselves: the
            origins whose pages may send it. CSRF is then refused as by `CookieTransport`. None does
            not look at origins.
        successor_header: The response header that carries successors.

    Raises:
        ConfigurationError: An argument is not of that form, or the header is read by another
            transport; lists every fault.

    """

    def __init__(
        self,
        header: str,
        *,
        scheme: str | None = None,
        origins: Sequence[str] | None = None,
        successor_header: str = "X-Refresh-Token",
    ) -> None:
        faults = _named_header_faults(header, scheme, successor_header)
        if origins is not None:
            faults += _origin_faults(origins)
        if faults:
            raise ConfigurationError(faults)
        super().__init__(successor_header)
        self.header, self.scheme = header, scheme
        self._wanted = header.lower().encode("ascii")
        self._prefix = b"" if scheme is None else scheme.lower().encode("ascii") + b" "
        self._origins = None if origins is None else _OriginCheck(origins)

    def read(self, scope: Scope, headers: Headers) -> bytes | None:
        """Return the token in the header, or None if the request lacks the header.

        Raises:
            InvalidRequest: The request has the header twice, or its value is not the scheme and a
                token, or a page of an origin that is not listed sent it (CSRF).

        """
        found = find_single(headers, self._wanted)
        if found is None:
            return None
        size = len(self._prefix)
        if found[:size].lower() != self._prefix or not found[size:].strip():
            raise InvalidRequest(f"the {self.header} header is not exactly one credential")
        if self._origins is not None:
            self._origins.check(scope, headers)
        return found[size:]


class CookieTransport:
    """Tokens and successors in a cookie that scripts cannot read.

    CSRF is refused: a WebSocket whose ``Origin`` is not listed, and a request with an unsafe
    method that the browser reports as sent by a page of another origin.

    Args:
        origins: The origins whose pages may use the cookie.
        name: The name of the cookie.
        secure: False leaves ``Secure`` out, and the name must lose its ``__Host-`` prefix; that
            is for development on loopback only.
        previous_name: The cookie in which an earlier system put its tokens (`Bridge`). It is read
            where the other is absent, and deleted as soon as that is set, on ``Path=/``.

    Raises:
        ConfigurationError: `origins` or a name is not of that form.

    """

    subprotocol: str | None = None
    successor_header: bytes | None = None

    def __init__(
        self,
        origins: Sequence[str],
        *,
        name: str = "__Host-access",
        secure: bool = True,
        previous_name: str | None = None,
    ) -> None:
        faults = _origin_faults(origins)
        if not _TOKEN_CHARACTERS.fullmatch(name):
            faults.append(f"{name!r} is not a cookie name")
        if previous_name is not None and not _TOKEN_CHARACTERS.fullmatch(previous_name):
            faults.append(f"{previous_name!r} is not a cookie name")
        if previous_name == name:
            faults.append(f"previous_name is {name!r} too; leave it out")
        if secure and not name.startswith(("__Host-", "__Host-Http-")):
            faults.append(f"the cookie {name!r} lacks the prefix __Host-, so siblings can set it")
        if not secure and name.startswith("__"):
            faults.append(f"a browser drops the cookie {name!r} without Secure; rename it")
        if faults:
            raise ConfigurationError(faults)
        self._origins = _OriginCheck(origins)
        self._name = name.encode("ascii")
        self._previous = None if previous_name is None else previous_name.encode("ascii")
        self._attributes = b"; Path=/; HttpOnly; SameSite=Strict" + (b"; Secure" if secure else b"")

    def read(self, scope: Scope, headers: Headers) -> bytes | None:
        """Return the token in the cookie, or None.

        Raises:
            InvalidRequest: The request has the cookie twice, or a page of an origin that is not
                listed sent it (CSRF).

        """
        token = _cookie(headers, self._name)
        if not token and self._previous is not None:
            token = _cookie(headers, self._previous)
        if token:
            self._origins.check(scope, headers)
        return token or None

    def deliver(self, issued: Issued, headers: list[tuple[bytes, bytes]], now: float) -> bool:
        """Add the successor as ``Set-Cookie`` only (R10).

        A cookie that the application sets itself, as a logout does, is not replaced.
        """
        own = self._name + b"="
        if any(n.lower() == b"set-cookie" and v.lstrip().startswith(own) for n, v in headers):
            return False
        age = max(0, int(issued.expires_at - now))
        cookie = b"%s=%s; Max-Age=%d" % (self._name, issued.token.encode("ascii"), age)
        if len(cookie) + len(self._attributes) > _MOST_COOKIE_BYTES:
            raise ConfigurationError([f"the token is too long for a cookie: {len(cookie)} bytes"])
        headers.append((b"set-cookie", cookie + self._attributes))
        if self._previous is not None:
            headers.append((b"set-cookie", self._previous + b"=; Max-Age=0; Path=/"))
        merge_list(headers, b"vary", (b"Cookie", b"Origin"))
        return True


def _cookie(headers: Headers, wanted: bytes) -> bytes | None:
    """Return the value of a cookie; raise `InvalidRequest` if the request has it twice."""
    found = None
    for name, value in headers:
        if name != b"cookie":
            continue
        for pair in value.split(b";"):
            key, _, token = pair.strip().partition(b"=")
            if key == wanted:
                if found is not None:
                    raise InvalidRequest("the token cookie stands twice")
                found = token
    return found


class SubprotocolTransport:
    """Tokens as a WebSocket subprotocol, because browsers cannot set headers there.

    The client offers `marker`, then the token: ``new WebSocket(url, ["bearer", token])``. The
    application sees neither of them. `marker` is selected if the application selects no
    subprotocol, because browsers require a selection.

    Args:
        marker: The subprotocol before the token.

    Raises:
        ConfigurationError: `marker` is not a subprotocol name.

    """

    successor_header: bytes | None = None

    def __init__(self, marker: str = "bearer") -> None:
        if not _TOKEN_CHARACTERS.fullmatch(marker):
            raise ConfigurationError([f"{marker!r} is not a subprotocol name"])
        self.subprotocol: str | None = marker

    def read(self, scope: Scope, headers: Headers) -> bytes | None:
        """Return the token that follows the marker, or None; always None for HTTP."""
        offered: list[str | None] = [*(scope.get("subprotocols") or ())]
        if scope["type"] != "websocket" or self.subprotocol not in offered:
            return None
        if offered.count(self.subprotocol) > 1 or offered[-1] == self.subprotocol:
            raise InvalidRequest("the subprotocol marker stands twice or no token follows it")
        token = offered[offered.index(self.subprotocol) + 1] or ""
        return token.encode("utf-8", "replace")

    def deliver(self, issued: Issued, headers: list[tuple[bytes, bytes]], now: float) -> bool:
        """Return False: an HTTP response cannot carry a subprotocol."""
        return False


def _origin_faults(origins: Sequence[str]) -> list[str]:
    if isinstance(origins, str) or not origins or "null" in origins or "*" in origins:
        return ["origins is not a non-empty list such as ['https://app.example']"]
    return []


def _named_header_faults(header: str, scheme: str | None, successor_header: str) -> list[str]:
    faults = []
    if not _TOKEN_CHARACTERS.fullmatch(header):
        faults.append(f"{header!r} is not a header name")
    if scheme is not None and not _TOKEN_CHARACTERS.fullmatch(scheme):
        faults.append(f"{scheme!r} is not a scheme; None if the token is the whole value")
    if (other := _OTHER_HEADERS.get(header.lower())) is not None:
        faults.append(f"tokens in {header} are read by {other}")
    if header.lower() == successor_header.lower():
        # Requests with the header of a response are ignored (H4): scripts and caches repeat them.
        faults.append(f"{header} carries both tokens and successors; name two headers")
    return faults
