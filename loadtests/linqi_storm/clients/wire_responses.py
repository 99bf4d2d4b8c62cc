"""HTTP responses as a load generator reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from httptools import HttpParserError, HttpResponseParser

__all__ = ["NoResponseError", "ResponseHeads", "ResponseReader", "WireResponse"]

_MOST_HEADS: Final = 512


class NoResponseError(Exception):
    """No response arrived; the message says why."""


@dataclass(slots=True)
class WireResponse:
    """A complete HTTP response."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    """By lower-case name; the values of a repeated name are one list (RFC 9110, section 5.3).
    Responses with the same head share it: read it only."""
    cookies: list[bytes] = field(default_factory=list)
    """The values of all ``Set-Cookie`` headers; shared as `headers` are."""
    body: bytes = b""


class ResponseReader:
    """Collects one response for `httptools`.

    Args:
        is_head: Whether the request was a HEAD, so that no body follows.

    """

    __slots__ = ("_body", "_is_head", "_parser", "is_kept", "is_whole", "response")

    def __init__(self, *, is_head: bool) -> None:
        self._is_head = is_head
        self.response = WireResponse()
        self._body: list[bytes] = []
        self.is_whole = self.is_kept = False
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read `data`; afterwards `is_whole` says whether `response` is complete.

        Raises:
            NoResponseError: If the data is not HTTP.

        """
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise NoResponseError("the response is not HTTP") from error
        if self.is_whole:
            self.response.body = b"".join(self._body)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        name = name.lower()
        if name == b"set-cookie":
            self.response.cookies.append(value)
        elif name in (headers := self.response.headers):
            headers[name] += b", " + value
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        """End the response to a HEAD, whatever its content-length is; it is not kept."""
        if self._is_head:
            self.is_whole = True
            self.response.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """End the response."""
        if self._is_head:
            return
        self.is_whole = True
        # The parser starts with the next response right after this call.
        self.response.status = self._parser.get_status_code()
        self.is_kept = self._parser.should_keep_alive()


class ResponseHeads:
    """The heads of recent responses, each parsed once.

    A server answers most requests with the same head, byte for byte, for a second. The response
    that follows a known head is read without a parser if it ends where the first one did.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, WireResponse]] = {}

    def read(self, data: bytes) -> WireResponse | None:
        """Return the response in `data` if it is whole, kept alive, and its head is known."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._known.get(data[:end])
        if known is None or known[0] != len(data):
            return None
        first = known[1]
        return WireResponse(first.status, first.headers, first.cookies, data[end:])

    def learn(self, data: bytes, response: WireResponse) -> None:
        """Remember the head of a response that was kept alive, and was `data` as a whole."""
        end = data.find(b"\r\n\r\n") + 4
        if b"content-length" not in response.headers or end + len(response.body) != len(data):
            return  # its length does not follow from its head
        if len(self._known) >= _MOST_HEADS:
            self._known.clear()
        head = WireResponse(response.status, response.headers, response.cookies)
        self._known[data[:end]] = (len(data), head)
