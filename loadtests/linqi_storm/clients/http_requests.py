"""Requests as bytes, and the successors in their responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from linqi_storm.clients.http_connections import WireResponse
from linqi_storm.schema.generator_plan import TokenTransport

__all__ = ["RequestBuilder"]

_AGENT: Final = b"user-agent: linqi-storm\r\naccept: */*\r\n"


class RequestBuilder:
    """Builds the requests to one host, and reads successors from its responses."""

    def __init__(self, url: str, transport: TokenTransport) -> None:
        parts = urlsplit(url)
        self._host = b"host: " + parts.netloc.encode("ascii") + b"\r\n"
        base = parts.path.rstrip("/")
        self._base = base.encode("ascii")
        self._transport = transport
        self._successor = transport.successor_header.lower().encode("ascii")
        self._quiet = transport.quiet_header.encode("ascii") + b": 1\r\n\r\n"
        self._before = b"GET " + self._base + transport.path.encode("ascii") + b" HTTP/1.1\r\n"
        self._before += self._host + _AGENT
        self._before += (
            b"cookie: " + transport.cookie.encode("ascii") + b"="
            if transport.cookie
            else b"authorization: Bearer "
        )

    def page(self, token: bytes) -> bytes:
        """Return the request for a page with `token`."""
        return self._before + token + b"\r\n\r\n"

    def poll(self, token: bytes) -> bytes:
        """Return the request for a page, marked as one that extends no session."""
        return self._before + token + b"\r\n" + self._quiet

    def successor(self, response: WireResponse) -> bytes | None:
        """Return the successor in a response, or None."""
        if not self._transport.cookie:
            return response.headers.get(self._successor)
        for line in response.cookies:
            try:
                found = SimpleCookie(line.decode("latin-1")).get(self._transport.cookie)
            except CookieError:
                continue
            if found is not None and found.value:
                return found.value.encode("latin-1")
        return None

    def refresh(self, refresh_token: str) -> bytes:
        """Return the request that redeems a refresh token (RFC 6749, section 6)."""
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._post_json(self._transport.refresh_path, body, {"x-token-delivery": "body"})

    def logout(self, refresh_token: str) -> bytes:
        """Return the request that ends a session."""
        return self._post_json(self._transport.logout_path, {"refresh_token": refresh_token}, {})

    def post(self, path: str, content: bytes, media_type: str, headers: Mapping[str, str]) -> bytes:
        """Return a POST request with a body."""
        lines = [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items()]
        return b"".join(
            [
                *(b"POST ", self._base, path.encode("ascii"), b" HTTP/1.1\r\n"),
                *(self._host, _AGENT, *lines),
                f"content-type: {media_type}\r\n".encode("ascii"),
                f"content-length: {len(content)}\r\n\r\n".encode("ascii"),
                content,
            ]
        )

    def _post_json(self, path: str, body: object, headers: Mapping[str, str]) -> bytes:
        return self.post(path, json.dumps(body).encode("ascii"), "application/json", headers)
