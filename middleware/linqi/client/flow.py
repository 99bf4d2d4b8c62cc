"""The way of one request through the client: token, send, adopt, and once more after a 401."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import Any, Final
from urllib.parse import urlsplit

from linqi.client.judge import JudgeSettings
from linqi.client.renewing import Answer, Renewing
from linqi.client.tokens import Tokens, TokenStorage
from linqi.errors import ConfigurationError, Unavailable

__all__ = ["RefreshingFlow"]

_TRIES: Final = (0.0, 0.2, 0.6)
"""Seconds before each try of one renewal: a lost reply is answered with the same successor."""
_AWAY: Final = frozenset({502, 503, 504})
_TIMEOUT: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}


class RefreshingFlow:
    """What the ``Auth`` classes of httpx2 and httpx share.

    `refresh_url`: where the refresh token is posted; only requests to its origin carry a token.
    `make_client` and `make_async_client`: give the client that posts it, for proxies or
    certificates of your own.
    """

    def __init__(
        self,
        refresh_url: str,
        tokens: Tokens | None = None,
        *,
        storage: TokenStorage | None = None,
        settings: JudgeSettings | None = None,
        make_client: Callable[[], Any],
        make_async_client: Callable[[], Any],
        replayable: type[Any],
        sleep: Callable[[float], object] = time.sleep,
        async_sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        parts = urlsplit(refresh_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError([f"refresh_url is {refresh_url!r}, expected an http(s) URL"])
        self.renewing = Renewing(tokens, storage=storage, settings=settings)
        self._url = refresh_url
        self._origin = (parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
        self._make_client = make_client
        self._make_async_client = make_async_client
        self._replayable = replayable
        self._sleep = sleep
        self._async_sleep = async_sleep

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request of a synchronous client."""
        if not self._is_ours(request):
            yield request
            return
        token = self._token("")
        response = yield _signed(request, token)
        self._adopt(response)
        if self._wants_retry(request, response):
            try:
                token = self._token(token)
            except Unavailable:
                return
            self._adopt((yield _signed(request, token)))

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Send a request of an asynchronous client."""
        if not self._is_ours(request):
            yield request
            return
        token = await self._async_token("")
        response = yield _signed(request, token)
        self._adopt(response)
        if self._wants_retry(request, response):
            try:
                token = await self._async_token(token)
            except Unavailable:
                return
            self._adopt((yield _signed(request, token)))

    def _token(self, refused: str) -> str:
        """Give the token to send, renewing it or waiting for another thread's renewal."""
        while True:
            plan = self.renewing.plan(refused)
            if plan.flight is None:
                return plan.token
            if plan.is_leader:
                self._lead(plan.flight)
            else:
                plan.flight.result()

    async def _async_token(self, refused: str) -> str:
        while True:
            plan = self.renewing.plan(refused)
            if plan.flight is None:
                return plan.token
            if plan.is_leader:
                await self._async_lead(plan.flight)
            else:
                # Shielded: a waiter that leaves must not end the flight for the others.
                await asyncio.shield(asyncio.wrap_future(plan.flight))

    def _lead(self, flight: Future[None]) -> None:
        answer = Answer(status=-1)  # if this thread is interrupted, the next caller leads
        try:
            with self._make_client() as client:
                for pause in _TRIES:
                    self._sleep(pause)
                    try:
                        response = client.post(self._url, json=self._body(), timeout=_TIMEOUT)
                        answer = _answer(response)
                    except Exception as error:  # noqa: BLE001 - whatever the library throws
                        answer = Answer(status=0, detail=type(error).__name__)
                    if answer.status != 0 and answer.status not in _AWAY:
                        break
        finally:
            self.renewing.settle(flight, answer)

    async def _async_lead(self, flight: Future[None]) -> None:
        answer = Answer(status=-1)
        try:
            async with self._make_async_client() as client:
                for pause in _TRIES:
                    await self._async_sleep(pause)
                    try:
                        response = await client.post(self._url, json=self._body(), timeout=_TIMEOUT)
                        answer = _answer(response)
                    except Exception as error:  # noqa: BLE001 - whatever the library throws
                        answer = Answer(status=0, detail=type(error).__name__)
                    if answer.status != 0 and answer.status not in _AWAY:
                        break
        finally:
            self.renewing.settle(flight, answer)

    def _body(self) -> dict[str, str]:
        tokens = self.renewing.tokens
        return {"refresh_token": "" if tokens is None else tokens.refresh_token}

    def _adopt(self, response: Any) -> None:
        successor = response.headers.get("x-refresh-token")
        if successor:
            self.renewing.adopt(successor, response.headers.get("date", ""))

    def _wants_retry(self, request: Any, response: Any) -> bool:
        """Tell whether a 401 is about the token, and the request can be sent a second time."""
        challenge = response.headers.get("www-authenticate", "")
        return (
            response.status_code == 401
            and 'error="invalid_token"' in challenge
            and isinstance(request.stream, self._replayable)
        )

    def _is_ours(self, request: Any) -> bool:
        url = request.url
        return (url.scheme, url.host, url.port or _PORTS.get(url.scheme)) == self._origin


def _signed(request: Any, token: str) -> Any:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _answer(response: Any) -> Answer:
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(status=response.status_code, body=body, date=response.headers.get("date", ""))
