"""The cookie of a refresh token, and who may make a browser send it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from linqi.asgi._http import Scope, find_single
from linqi.errors import ConfigurationError, InvalidRequest
from linqi.jwks.http import is_loopback_url

__all__ = ["SessionCookie"]

_DELIVERY: Final = b"x-token-delivery"
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A cookie name of RFC 6265, section 4.1.1: nothing in it may end it and begin an attribute."""
_ORIGIN: Final = re.compile(r"https?://[!-.0-@[-~]+")
"""As browsers write an origin: lower case, ASCII, no path, not even a final slash."""


class SessionCookie:
    """``__Host-``, Secure, HttpOnly, SameSite=Strict (D9).

    It reaches every path of its host, and is read at the session routes only.

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
        """Tell whether the client wants the cookie: ``X-Token-Delivery: cookie``."""
        return find_single(scope["headers"], _DELIVERY) == b"cookie"

    def check(self, scope: Scope) -> None:
        """Raise `InvalidRequest` unless a page of ours sent the request (D9).

        The browser says in ``Sec-Fetch-Site`` that it is a page of the same origin. A page of
        another origin on the same site, or one whose browser does not say, must be listed: an
        unlisted sibling is somebody else, whose scripts may be anyone's (a forgotten subdomain),
        and no cookie attribute keeps it out. A page of another site is refused even if it is
        listed. That ``X-Token-Delivery`` is there tells that a script sent the request, which one
        of another origin could not without asking first (CORS).
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
        """Give the refresh token; `InvalidRequest` when there are several."""
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
        """Give the header that keeps `token` for `seconds`."""
        return self._header(token, max(0, int(seconds)))

    def cleared(self) -> tuple[bytes, bytes]:
        """Give the header that forgets it."""
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
