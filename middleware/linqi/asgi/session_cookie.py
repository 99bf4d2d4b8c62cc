"""The cookie of a refresh token, and who may make a browser send it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from linqi.asgi._http import Scope, find_single
from linqi.errors import ConfigurationError, InvalidRequest

__all__ = ["SessionCookie"]

_DELIVERY: Final = b"x-token-delivery"
_NAME: Final = re.compile(r"__Host-[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A cookie name of RFC 6265, section 4.1.1: nothing in it may end it and begin an attribute."""


class SessionCookie:
    """``__Host-``, Secure, HttpOnly, SameSite=Strict (D9).

    It reaches every path of its host, and is read at the session routes only.
    """

    def __init__(self, name: str, origins: Sequence[str]) -> None:
        faults = []
        if not _NAME.fullmatch(name):
            faults.append(f"cookie_name is {name!r}, expected a name that begins with '__Host-'")
        if isinstance(origins, str) or "null" in origins or "*" in origins:
            faults.append("origins is a list of exact origins, such as ['https://shop.example']")
        if faults:
            raise ConfigurationError(faults)
        self._name = name
        self._origins = frozenset(origin.encode() for origin in origins)

    def is_wanted(self, scope: Scope) -> bool:
        """Tell whether the client wants the cookie: ``X-Token-Delivery: cookie``."""
        return find_single(scope["headers"], _DELIVERY) == b"cookie"

    def check(self, scope: Scope) -> None:
        """Raise `InvalidRequest` unless a page of ours sent the request.

        The browser says so in ``Sec-Fetch-Site``; where it does not, the origin must be listed. A
        sibling on the same site is somebody else. That ``X-Token-Delivery`` is there tells that a
        script sent it, which a foreign one could not without asking first (CORS).
        """
        site = find_single(scope["headers"], b"sec-fetch-site")
        if site is not None:
            if site != b"same-origin":
                raise InvalidRequest("the request comes from a foreign page")
            return
        origin = find_single(scope["headers"], b"origin")
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
        text = f"{self._name}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"
        return b"set-cookie", text.encode("ascii")
