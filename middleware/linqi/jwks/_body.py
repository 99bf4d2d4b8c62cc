"""The body of an answer as it comes in, inflated within a limit."""

from __future__ import annotations

import zlib
from typing import Final

from linqi.errors import FetchFailed

__all__ = ["CODINGS", "BoundedBody"]

CODINGS: Final = "gzip"
"""The value of ``Accept-Encoding``: RFC 9110, section 12.5.3, allows no coding beside it. Some
storage services send what they hold compressed whatever is asked for; gzip is what they hold."""
_GZIP: Final = zlib.MAX_WBITS | 16


class BoundedBody:
    """A body that comes in by chunks: at most `most_bytes` as they are sent, and as they inflate.

    `coding` is the answer's ``Content-Encoding``. What is more raises `FetchFailed` before it is
    inflated, so that a small answer cannot fill the memory (PyJWT, GHSA-993g; RFC 1952).
    """

    def __init__(self, coding: str, most_bytes: int) -> None:
        named = coding.strip().lower()
        if named not in ("", "identity", "gzip", "x-gzip"):
            raise FetchFailed(f"the answer is compressed by {named[:40]!r}; only gzip is asked for")
        self._inflater = zlib.decompressobj(_GZIP) if "gzip" in named else None
        self._most_bytes = most_bytes
        self._received = 0
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next part of what was sent."""
        self._received += len(chunk)
        if self._received > self._most_bytes:
            raise self._too_long()
        if self._inflater is None:
            self._body += chunk
            return
        try:
            self._inflate(chunk)
        except zlib.error as error:
            raise FetchFailed(f"the answer is no gzip, as it says it is: {error}") from None

    def end(self) -> bytes:
        """Return the whole body."""
        if self._inflater is not None and self._received and not self._inflater.eof:
            raise FetchFailed("the compressed answer was cut off")
        return bytes(self._body)

    def _inflate(self, data: bytes) -> None:
        inflater = self._inflater
        while data and inflater is not None:
            if inflater.eof:  # another member follows (RFC 1952, section 2.2)
                inflater = self._inflater = zlib.decompressobj(_GZIP)
            room = self._most_bytes - len(self._body) + 1
            self._body += inflater.decompress(data, room)
            if len(self._body) > self._most_bytes:
                raise self._too_long()
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail

    def _too_long(self) -> FetchFailed:
        return FetchFailed(f"the answer is longer than {self._most_bytes} bytes")
