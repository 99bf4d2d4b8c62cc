"""``RefreshingAuth`` for the clients of httpx2."""

from __future__ import annotations

from typing import Any, Final

try:
    import httpx2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "linqi.client.httpx2 needs httpx2: pip install 'linqi[client]'", name=error.name
    ) from error

from linqi.client.flow import RefreshingFlow
from linqi.client.tokens import ClientTokens

__all__ = ["RefreshingAuth"]

_MULTIPART: Final = type(httpx2.Request("POST", "http://x", files={"file": b""}).stream)
"""The class of multipart bodies, for which httpx2 has no public name."""


class RefreshingAuth(RefreshingFlow, httpx2.Auth):
    """Sends each request of an `httpx2.Client` or `httpx2.AsyncClient` with a fresh access token.

    ```python
    auth = RefreshingAuth("https://shop.example/refresh", tokens)
    client = httpx2.Client(auth=auth)
    ```

    One object may serve several clients, tasks and threads: they share one renewal.
    """

    def __init__(
        self, refresh_url: str, tokens: ClientTokens | None = None, **options: Any
    ) -> None:
        """Use the tokens of a login, or those in ``storage``; see `RefreshingFlow` for options."""
        options.setdefault("make_client", httpx2.AsyncClient)
        super().__init__(
            refresh_url, tokens, replayable=httpx2.ByteStream, multipart=_MULTIPART, **options
        )
