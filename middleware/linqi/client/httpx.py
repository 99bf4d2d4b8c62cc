"""``RefreshingAuth`` for the clients of httpx; no other module of linqi imports httpx."""

from __future__ import annotations

from typing import Any, Final

import httpx

from linqi.client.flow import RefreshingFlow
from linqi.client.tokens import ClientTokens

__all__ = ["RefreshingAuth"]

_MULTIPART: Final = type(httpx.Request("POST", "http://x", files={"file": b""}).stream)
"""The class of multipart bodies, for which httpx has no public name."""


class RefreshingAuth(RefreshingFlow, httpx.Auth):
    """Sends each request of an `httpx.Client` or `httpx.AsyncClient` with a fresh access token.

    ```python
    auth = RefreshingAuth("https://shop.example/refresh", tokens)
    client = httpx.Client(auth=auth)
    ```

    One object may serve several clients, tasks and threads: they share one renewal.
    """

    def __init__(
        self, refresh_url: str, tokens: ClientTokens | None = None, **options: Any
    ) -> None:
        """Use the tokens of a login, or those in ``storage``; see `RefreshingFlow` for options."""
        options.setdefault("make_client", httpx.AsyncClient)
        super().__init__(
            refresh_url, tokens, replayable=httpx.ByteStream, multipart=_MULTIPART, **options
        )
