"""A response body that is decompressed within a limit while it is received."""

from __future__ import annotations

import zlib
from typing import Final

from linqi.errors import FetchFailed, ResponseTooLong

__all__ = ["CODINGS", "BoundedBody"]

CODINGS: Final = "gzip"
"""The value of ``Accept-Encoding`` (RFC 9110, section 12.5.3). Some storage services send a stored
gzip file compressed even to clients that do not accept gzip."""
_GZIP: Final = zlib.MAX_WBITS | 16


class BoundedBody:
    """A body that is received in chunks, and limited in size as sent and as decompressed.

    The limit is checked before more is decompressed, so that a small response cannot fill the
    memory (PyJWT, GHSA-993g; RFC 1952).

    Args:
        coding: The response's ``Content-Encoding``; empty, ``identity`` or ``gzip``.
        most_bytes: The limit for both sizes.

    Raises:
        FetchFailed: The content coding is another one.

    """

    def __init__(self, coding: str, most_bytes: int) -> None:
        named = coding.strip().lower()
        if named not in ("", "identity", "gzip", "x-gzip"):
            raise FetchFailed(
                f"the response has the content coding {named[:40]!r}, expected gzip or none"
            )
        self._inflater = zlib.decompressobj(_GZIP) if "gzip" in named else None
        self._most_bytes = most_bytes
        self._received = 0
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk as it was sent.

        Raises:
            ResponseTooLong: The body is too long.
            FetchFailed: It is not gzip.

        """
        self._received += len(chunk)
        if self._received > self._most_bytes:
            raise self._too_long()
        if self._inflater is None:
            self._body += chunk
            return
        try:
            self._inflate(chunk)
        except zlib.error as error:
            raise FetchFailed(f"the response is not gzip, as its header says: {error}") from None

    def end(self) -> bytes:
        """Return the whole body.

        Raises:
            FetchFailed: The compressed body ends too early.

        """
        if self._inflater is not None and self._received and not self._inflater.eof:
            raise FetchFailed("the compressed response is truncated")
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

    def _too_long(self) -> ResponseTooLong:
        return ResponseTooLong(f"the response is longer than {self._most_bytes} bytes")
