"""Requests as bytes, and the successors in their responses."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.scenarios.workload_traffic import catalogue_of
from linqi_storm.schema.generator_plan import TokenTransport
from linqi_storm.schema.workload import Workload, WorkloadRequest

__all__ = ["RequestBuilder"]

_AGENT: Final = b"user-agent: linqi-storm\r\naccept: */*\r\n"


class RequestBuilder:
    """Builds the requests to one host, and reads successors from its responses."""

    def __init__(
        self, url: str, transport: TokenTransport, workload: Workload | None = None
    ) -> None:
        parts = urlsplit(url)
        self._host = b"host: " + parts.netloc.encode("ascii") + b"\r\n"
        base = parts.path.rstrip("/")
        self._base = base.encode("ascii")
        self._transport = transport
        self._successor = transport.successor_header.lower().encode("ascii")
        self._quiet = transport.quiet_header.encode("ascii") + b": 1\r\n\r\n"
        self._credential = (
            b"cookie: " + transport.cookie.encode("ascii") + b"="
            if transport.cookie
            else b"authorization: Bearer "
        )
        self.pages = (
            (WorkloadRequest(path=transport.path),) if workload is None else catalogue_of(workload)
        )
        """The requests that clients send, by number; hostile requests are like the first."""
        self.kinds = tuple(request.kind for request in self.pages)
        """Their kinds, by number: `WorkloadRequest.kind` is computed anew each time."""
        self._parts = [self._parts_of(request) for request in self.pages]
        self.question = next(
            (
                number
                for number, request in enumerate(self.pages)
                if request.method == "GET" and not request.public
            ),
            None,
        )
        """The number of a request that changes nothing and whose caller is known, if any."""

    def page(self, token: bytes, number: int = 0) -> bytes:
        """Return request `number` of the catalogue with `token`, or without it if it is public."""
        before, after = self._parts[number]
        return before + after if self.pages[number].public else before + token + after

    def without_token(self, method: str, guests: Collection[tuple[str, str]] = ()) -> bytes | None:
        """Return the request of a guarded page without a token, by GET or HEAD; None without one.

        It changes nothing, so it is harmless where it is served. Requests of the kinds in `guests`
        need no token.
        """
        number = next(
            (
                number
                for number, request in enumerate(self.pages)
                if request.method == "GET" and not request.public and request.kind not in guests
            ),
            None,
        )
        if number is None:
            return None
        before, after = self._parts[number]
        line = before.removesuffix(self._credential).removeprefix(b"GET ")
        return method.encode("ascii") + b" " + line + after.removeprefix(b"\r\n")

    def poll(self, token: bytes) -> bytes:
        """Return the first request, marked as one that extends no session."""
        before, _ = self._parts[0]
        return before + token + b"\r\n" + self._quiet

    def _parts_of(self, request: WorkloadRequest) -> tuple[bytes, bytes]:
        """Return what comes before and after the token."""
        body = request.body.encode("utf-8")
        lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
        if body:
            lines += [f"content-type: {request.content_type}\r\n"]
        if body or request.method not in ("GET", "DELETE"):
            lines += [f"content-length: {len(body)}\r\n"]
        line = f"{request.method} ".encode("ascii") + self._base + request.path.encode("ascii")
        before = line + b" HTTP/1.1\r\n" + self._host + _AGENT
        before += "".join(lines).encode("ascii")
        if request.public:
            return before, b"\r\n" + body
        return before + self._credential, b"\r\n\r\n" + body

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
