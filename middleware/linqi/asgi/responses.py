"""HTTP responses that linqi sends itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from linqi.asgi._http import Send

__all__ = ["NO_STORE", "encode_json", "retry_after", "send_response"]

NO_STORE: Final = (b"cache-control", b"no-store")
"""The header that keeps a response out of every cache (RFC 9111, section 5.2.2.5)."""

_LONGEST_WAIT: Final = 86_400
_encode: Final = msgspec.json.Encoder().encode


async def send_response(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    """Send a complete response: its start, then its whole body."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers]})
    await send({"type": "http.response.body", "body": body})


def encode_json(
    content: Mapping[str, Any], media_type: bytes = b"application/json"
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Return `content` as a body, and the headers that describe the body."""
    body = _encode(content)
    length = str(len(body)).encode("ascii")
    return body, ((b"content-type", media_type), (b"content-length", length))


def retry_after(seconds: object) -> tuple[bytes, bytes]:
    """Return the header (RFC 9110, section 10.2.3), in whole seconds: one to a day.

    An `Unavailable` of the application may hold anything, and must not make a 503 a 500: what is
    no number counts as one second.
    """
    whole = 1
    if isinstance(seconds, int | float) and seconds > 1:  # not so for NaN
        whole = math.ceil(min(seconds, _LONGEST_WAIT))
    return b"retry-after", str(whole).encode("ascii")
