"""The door to httpx: ``RefreshingAuth`` for its clients."""

from __future__ import annotations

from typing import Any, Final

import httpx

from linqi.client.flow import RefreshingFlow
from linqi.client.tokens import Tokens

__all__ = ["RefreshingAuth"]

_MULTIPART: Final = type(httpx.Request("POST", "http://x", files={"file": b""}).stream)
"""The class of multipart bodies, which has no public name."""


class RefreshingAuth(RefreshingFlow, httpx.Auth):
    """Keeps the requests of `httpx.Client` and `httpx.AsyncClient` signed in.

    ::

        auth = RefreshingAuth("https://shop.example/refresh", tokens)
        client = httpx.Client(auth=auth)

    One of them may serve several clients, tasks and threads: they share one renewal.
    """

    def __init__(self, refresh_url: str, tokens: Tokens | None = None, **options: Any) -> None:
        """Take the tokens of a login, or those that ``storage`` has kept; see `RefreshingFlow`."""
        options.setdefault("make_client", httpx.AsyncClient)
        super().__init__(
            refresh_url, tokens, replayable=httpx.ByteStream, multipart=_MULTIPART, **options
        )
