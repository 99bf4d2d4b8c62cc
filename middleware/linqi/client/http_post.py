"""One POST to a session route, and its response, which may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from linqi._http_date import http_date
from linqi.client.tokens import decode_json

__all__ = ["PostResponse", "post", "retry_after_seconds"]

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 65_536
_REFUSED: Final = frozenset({400, 401})


@dataclass(frozen=True, slots=True, kw_only=True)
class PostResponse:
    """The response of a session route."""

    status: int
    """The HTTP status; 0 if the route could not be reached, -1 if the request was cancelled or
    not needed."""
    body: Any = field(default=None, repr=False)
    """The decoded JSON, or None."""
    presented: str = field(default="", repr=False)
    """The refresh token that the request carried."""
    date: float | None = None
    """The ``Date`` header in Unix seconds."""
    retry_after: float = 0.0
    """The ``Retry-After`` header in seconds; 0 if there is none."""
    detail: str = ""
    """Why the route could not be reached or its response not be read."""

    @property
    def is_refusal(self) -> bool:
        """Whether the server rejected the refresh token for good (RFC 6749, section 5.2)."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return self.status in _REFUSED and error == "invalid_grant"


async def post(client: Any, url: str, refresh_token: str = "", **fields: str) -> PostResponse:
    """Post a JSON object and return the response; never raises for what the server does.

    No redirect is followed: it would send the refresh token to a host that the response names.
    The response is read to 64 KiB, and not at all if it is compressed, which the request forbids:
    64 KiB could inflate to gigabytes.

    Args:
        client: An ``AsyncClient`` of httpx2 or httpx.
        url: The session route.
        refresh_token: The member ``refresh_token``; left out if empty.
        fields: Further members of the object.

    """
    body: Mapping[str, str] = {"refresh_token": refresh_token} | fields if refresh_token else fields
    try:
        async with client.stream(
            "POST",
            url,
            json=body,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=_SECONDS,
            follow_redirects=False,
        ) as response:
            data, is_plain = bytearray(), "content-encoding" not in response.headers
            if is_plain:
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        break
    except Exception as error:  # noqa: BLE001 - the library may raise anything
        return PostResponse(status=0, presented=refresh_token, detail=type(error).__name__)
    date = http_date(response.headers.get("date", ""))
    return PostResponse(
        status=response.status_code,
        body=decode_json(bytes(data)) if len(data) <= _MOST_BYTES else None,
        presented=refresh_token,
        date=date,
        retry_after=retry_after_seconds(response.headers.get("retry-after", ""), date),
        detail="" if is_plain else "compressed",
    )


def retry_after_seconds(text: str, now: float | None) -> float:
    """Return ``Retry-After`` in seconds; a date in it is compared with the response's ``Date``."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = http_date(text)
    return 0.0 if until is None or now is None else max(0.0, until - now)
