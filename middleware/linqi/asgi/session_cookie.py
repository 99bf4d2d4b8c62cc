"""The cookie of a refresh token, and its protection from CSRF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from linqi.asgi._http import Scope, find_single
from linqi.errors import ConfigurationError, InvalidRequest
from linqi.jwks.url import is_loopback_url

__all__ = ["SessionCookie"]

_DELIVERY: Final = b"x-token-delivery"
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A cookie name of RFC 6265, section 4.1.1: nothing in it may end it and begin an attribute."""
_ORIGIN: Final = re.compile(r"https?://[!-.0-@[-~]+")
"""As browsers write an origin: lower case, ASCII, no path, not even a final slash."""


class SessionCookie:
    """A cookie with ``__Host-``, Secure, HttpOnly and SameSite=Strict (D9).

    Browsers send it to every path of its host; only the session routes read it.

    Args:
        name: The cookie's name; it begins with ``__Host-`` unless `secure` is False.
        origins: Whose pages may use the cookie besides those of the cookie's own origin, each
            written as the browser sends it.
        secure: False leaves ``Secure`` and the prefix away, for development on loopback without
            TLS: the name must lose its prefix, all `origins` must be on loopback, and a request
            for another host is refused.

    """

    def __init__(self, name: str, origins: Sequence[str], *, secure: bool = True) -> None:
        if faults := _faults(name, origins, secure):
            raise ConfigurationError(faults)
        self._name = name
        self._origins = frozenset(origin.encode() for origin in origins)
        self._is_secure = secure
        self._attributes = "; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")

    def is_wanted(self, scope: Scope) -> bool:
        """Return whether the client asks for the cookie: ``X-Token-Delivery: cookie``."""
        return find_single(scope["headers"], _DELIVERY) == b"cookie"

    def check(self, scope: Scope) -> None:
        """Check that a page of this service or a listed one sent the request: CSRF (D9).

        ``Sec-Fetch-Site`` names a page of the same origin. A page of another origin on the same
        site, or of a browser without that header, must be listed: an attacker may control the
        scripts of an unlisted sibling (a forgotten subdomain), which no cookie attribute keeps
        out. A page of another site is refused even if it is listed. ``X-Token-Delivery`` shows
        that a script sent the request; a script of another origin needs a CORS preflight for it.

        Raises:
            InvalidRequest: Another page sent the request.

        """
        headers = scope["headers"]
        site, origin = find_single(headers, b"sec-fetch-site"), find_single(headers, b"origin")
        if not self._is_secure:
            _check_loopback(find_single(headers, b"host") or b"", origin)
        if site == b"same-origin":
            return
        if site not in (None, b"same-site"):
            raise InvalidRequest("the request comes from a foreign page")
        if origin is None or origin not in self._origins:
            raise InvalidRequest("the request names no origin that is listed")

    def read(self, scope: Scope) -> str | None:
        """Return the token in the cookie, or None.

        Raises:
            InvalidRequest: The request has the cookie more than once.

        """
        found = []
        for header, value in scope["headers"]:
            if header == b"cookie":
                for part in value.split(b";"):
                    name, _, token = part.strip().partition(b"=")
                    if name == self._name.encode():
                        found.append(token.decode("latin-1"))
        if len(found) > 1:
            raise InvalidRequest("the refresh cookie stands there more than once")
        return found[0] if found else None

    def set(self, token: str, seconds: float) -> tuple[bytes, bytes]:
        """Return the header that sets the cookie to `token` for `seconds`."""
        return self._header(token, max(0, int(seconds)))

    def cleared(self) -> tuple[bytes, bytes]:
        """Return the header that deletes the cookie."""
        return self._header("", 0)

    def _header(self, token: str, seconds: int) -> tuple[bytes, bytes]:
        text = f"{self._name}={token}; Path=/; Max-Age={seconds}{self._attributes}"
        return b"set-cookie", text.encode("ascii")


def _faults(name: str, origins: Sequence[str], secure: bool) -> list[str]:
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(f"cookie_name is {name!r}, which is not a cookie name")
    elif secure and (not name.startswith("__Host-") or name == "__Host-"):
        faults.append(f"cookie_name is {name!r}, expected a name that begins with '__Host-'")
    elif not secure and name.startswith("__"):
        faults.append(f"a browser drops the cookie {name!r} without Secure; rename it")
    if isinstance(origins, str) or not all(_ORIGIN.fullmatch(origin) for origin in origins):
        faults.append("origins is a list of exact origins, such as ['https://shop.example']")
    elif not secure and (far := [o for o in origins if not is_loopback_url(o)]):
        faults.append(f"origins names {', '.join(far)}; without Secure they must be on loopback")
    return faults


def _check_loopback(host: bytes, origin: bytes | None) -> None:
    """Refuse a refresh cookie without ``Secure`` for anything but this machine's own browser."""
    urls = [b"http://" + host] if origin is None else [b"http://" + host, origin]
    if not all(is_loopback_url(url.decode("latin-1")) for url in urls):
        raise InvalidRequest("a refresh cookie without Secure is for localhost only")
