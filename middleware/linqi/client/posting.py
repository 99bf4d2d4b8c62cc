"""One post to a session route, and its answer, whatever it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from linqi.client.tokens import decode_json

__all__ = ["Answer", "instant", "post"]

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 65_536
_REFUSED: Final = frozenset({400, 401})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a session route answered.

    ``status`` is 0 when it could not be reached, and -1 when nobody asked to the end.
    """

    status: int
    body: Any = field(default=None, repr=False)
    """The JSON, or None."""
    presented: str = field(default="", repr=False)
    """The refresh token that was presented."""
    date: float | None = None
    """The ``Date`` header, in Unix seconds."""
    retry_after: float = 0.0
    """Seconds of the ``Retry-After`` header."""
    detail: str = ""
    """Why it could not be reached, or not be read."""

    @property
    def is_refusal(self) -> bool:
        """Tell whether the refresh token was refused for good (RFC 6749, section 5.2)."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return self.status in _REFUSED and error == "invalid_grant"


async def post(client: Any, url: str, refresh_token: str = "", **fields: str) -> Answer:
    """Post `refresh_token`, where there is one, with more `fields`, as JSON; give the answer.

    No redirect is followed: it would hand what is posted to whoever the answer names. The answer
    is asked for without compression, and not read with one: 64 KiB can become gigabytes.
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
    except Exception as error:  # noqa: BLE001 - whatever the library throws
        return Answer(status=0, presented=refresh_token, detail=type(error).__name__)
    date = instant(response.headers.get("date", ""))
    return Answer(
        status=response.status_code,
        body=decode_json(bytes(data)) if len(data) <= _MOST_BYTES else None,
        presented=refresh_token,
        date=date,
        retry_after=_seconds(response.headers.get("retry-after", ""), date),
        detail="" if is_plain else "compressed",
    )


def instant(text: str) -> float | None:
    """Give the Unix seconds of an HTTP date; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds(text: str, now: float | None) -> float:
    """Read ``Retry-After``: seconds, or a date by the clock of the answer's own ``Date``."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = instant(text)
    return 0.0 if until is None or now is None else max(0.0, until - now)
