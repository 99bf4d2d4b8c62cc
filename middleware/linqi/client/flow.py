"""One request of a client: obtain the token, send, take a successor, retry once after a 401."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeAlias

from linqi._http_date import http_date
from linqi.client.http_post import PostResponse, post
from linqi.client.judge import JudgeSettings
from linqi.client.origins import PORTS, Origin, origin_of
from linqi.client.renewal import RenewalPlan, TokenRenewal
from linqi.client.tokens import ClientTokens, TokenStorage
from linqi.errors import ConfigurationError, Unavailable

__all__ = ["RefreshingFlow"]

_TRIES: Final = (0.0, 0.2, 0.6)
"""Seconds before each attempt of one renewal. A repeated refresh token is safe: after a lost
response the server returns the same successor."""
_LONGEST_PAUSE: Final = 2.0
"""A longer ``Retry-After`` ends the attempts; the renewal is then delayed by that time."""
_UNAVAILABLE: Final = frozenset({0, 502, 503, 504})
_RENEWAL_SECONDS: Final = 20.0
"""The limit for all attempts of one renewal, also if a response arrives slowly."""

_Run: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]


class RefreshingFlow:
    """The common part of the ``Auth`` classes of httpx2 and httpx.

    Args:
        refresh_url: The route to which the refresh token is posted. Only requests to its origin
            and to `origins` carry an access token.
        tokens: The tokens of a login; None to load them from `storage`.
        storage: Where tokens are saved between runs; in memory by default.
        settings: The thresholds of near expiry.
        origins: Other origins whose requests carry the access token, such as
            ``https://api.shop.example``: scheme, host and, if it is not the default, port.
            Default none. The refresh token is sent to `refresh_url` only.
        quiet_header: The request header that marks a quiet request for the server, equal to the
            server's `quiet_header`; it is added to requests with
            ``extensions={"linqi_quiet": True}``. Default none: the server then recognises them by
            their paths.
        make_client: Returns the asynchronous client that posts the refresh token, for proxies or
            private certificates. Synchronous programs use it, too: a renewal runs beside their
            requests.
        replayable: The library's class of bodies that can be sent twice.
        multipart: The library's class of multipart bodies.
        longest_flight: Seconds after which a renewal that has not ended is abandoned. Default 30.
        sleep: Waits between two attempts.

    Raises:
        ConfigurationError: `refresh_url` or an origin is malformed; lists every fault.

    """

    def __init__(
        self,
        refresh_url: str,
        tokens: ClientTokens | None = None,
        *,
        storage: TokenStorage | None = None,
        settings: JudgeSettings | None = None,
        origins: Iterable[str] = (),
        quiet_header: str | None = None,
        make_client: Callable[[], Any],
        replayable: type[Any],
        multipart: type[Any],
        longest_flight: float = _RENEWAL_SECONDS * 1.5,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._origins = _origins_of(refresh_url, origins)
        self.renewal = TokenRenewal(
            tokens, storage=storage, settings=settings, longest_flight=longest_flight
        )
        self._url = refresh_url
        self._quiet_header = quiet_header
        self._make_client = make_client
        self._replayable = replayable
        self._multipart = multipart
        self._longest_flight = longest_flight
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request of a synchronous client."""
        steps, response = self._steps(request), None
        while True:
            try:
                step = steps.send(response)
            except StopIteration:
                return
            response = None
            if isinstance(step, RenewalPlan):
                self._execute(step)
            elif callable(step):
                step()
            else:
                response = yield step

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Send a request of an asynchronous client."""
        steps, response = self._steps(request), None
        while True:
            try:
                step = steps.send(response)
            except StopIteration:
                return
            response = None
            if isinstance(step, RenewalPlan):
                await self._async_execute(step)
            elif callable(step):
                await asyncio.to_thread(step)
            else:
                response = yield step

    def token(self) -> str:
        """Return an access token to send with another client; renew it first if it is near expiry.

        Blocks until the renewal ends.

        Raises:
            SignedOut: The session has ended.
            Unavailable: The token has expired and cannot be renewed now.

        """
        while True:
            plan = self.renewal.plan()
            if plan.flight is None:
                return plan.token
            # Without the token, which a request would be sent with meanwhile.
            self._execute(dataclasses.replace(plan, token=""))

    def _steps(self, request: Any) -> Generator[Any, Any, None]:
        """Yield each request to send, and before it each `RenewalPlan` or call to execute."""
        if not self._may_carry_token(request.url):
            yield request
            return
        if request.extensions.get("linqi_quiet"):
            yield self._quiet(request)
            return
        # No plan while the token is fresh: 4.4 us more than a constant token, instead of 5.5.
        token = self.renewal.fresh_token() or (yield from self._obtain_token(""))
        response = yield _with_token(request, token)
        if self._adopt(response):
            yield self.renewal.save
        if self._is_refused(response):
            if not self._is_replayable(request.stream):
                self.renewal.mark_refused(token)
                return
            try:
                token = yield from self._obtain_token(token)
            except Unavailable:
                return
            response = yield _with_token(request, token)
            if self._adopt(response):
                yield self.renewal.save

    def _quiet(self, request: Any) -> Any:
        """Return the request with the current token and without a renewal before or after it.

        A successor that the server sends all the same is ignored.
        """
        if self._quiet_header is not None:
            request.headers[self._quiet_header] = "1"
        return _with_token(request, self.renewal.quiet_token())

    def _obtain_token(self, refused: str) -> Generator[RenewalPlan, None, str]:
        """Yield the plans to execute until there is a token to send; return it."""
        while True:
            plan = self.renewal.plan(refused)
            if plan.flight is not None and (plan.is_leader or not plan.token):
                yield plan
            if plan.token:
                return plan.token

    def _execute(self, plan: RenewalPlan) -> None:
        """Start a renewal in a new thread, or wait for the one under way.

        The thread is not a daemon, so that the program does not end before the new tokens are
        saved. If no thread can be started, the renewal fails and the next caller retries it.
        """
        flight = plan.flight
        if flight is None:
            return
        if plan.is_leader:
            thread = threading.Thread(
                target=self._renew_in_thread, args=(flight,), name="linqi-renewal"
            )
            try:
                thread.start()
            except RuntimeError:
                self.renewal.settle(flight, PostResponse(status=0, detail="no thread"))
        if not plan.token:
            concurrent.futures.wait([flight], timeout=self._longest_flight)

    def _renew_in_thread(self, flight: Future[None]) -> None:
        """Renew on a new event loop; settle the flight even if the loop cannot run.

        Under gevent's monkey patching this thread is a greenlet, and ``asyncio.run`` raises if
        another greenlet of the same thread runs an event loop.
        """
        work = self._renew(flight, _call)
        detail = "ended"
        try:
            asyncio.run(work)
        except Exception as error:  # noqa: BLE001 - a thread has no caller to raise it to
            detail = type(error).__name__
        finally:
            work.close()
            self.renewal.settle(flight, PostResponse(status=0, detail=detail))

    async def _async_execute(self, plan: RenewalPlan) -> None:
        """Start a renewal in a new task, or wait for the one under way.

        Cancelling a waiter does not cancel the renewal.
        """
        flight = plan.flight
        if flight is None:
            return
        if plan.is_leader:
            task = asyncio.get_running_loop().create_task(self._renew(flight, asyncio.to_thread))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # A task that is cancelled before its first step never runs its `finally`.
            task.add_done_callback(lambda _: self.renewal.settle(flight, PostResponse(status=-1)))
        if not plan.token:
            await asyncio.wait([asyncio.wrap_future(flight)], timeout=self._longest_flight)

    async def _renew(self, flight: Future[None], run: _Run) -> None:
        """Post the refresh token, unless another process has saved new tokens; settle the flight.

        `run` calls the methods that use the storage and may block.
        """
        response = PostResponse(status=-1)  # stays if this is cancelled: the next caller leads
        try:
            if not await run(self.renewal.reload):
                response = await self._post_with_retries()
                if response.is_refusal and await run(self.renewal.reload):
                    response = PostResponse(status=-1)
        except Exception as error:  # noqa: BLE001 - an error must not leave the waiters waiting
            response = PostResponse(status=0, detail=type(error).__name__)
        finally:
            self.renewal.settle(flight, response)
        await run(self.renewal.save)

    async def _post_with_retries(self) -> PostResponse:
        """Return the response of the refresh route, or of the last attempt to reach it."""
        response = PostResponse(status=0, detail="too slow")
        try:
            async with asyncio.timeout(_RENEWAL_SECONDS), self._make_client() as client:
                for pause in _TRIES:
                    if response.retry_after > _LONGEST_PAUSE:
                        break
                    await self._sleep(max(pause, response.retry_after))
                    response = await self._post(client)
                    if response.status not in _UNAVAILABLE:
                        break
        except Exception as error:  # noqa: BLE001 - the library may raise anything
            if response.status != 200:
                return PostResponse(status=0, detail=type(error).__name__)
        return response

    async def _post(self, client: Any) -> PostResponse:
        """Post the refresh token once."""
        tokens = self.renewal.tokens
        return await post(client, self._url, "" if tokens is None else tokens.refresh_token)

    def _adopt(self, response: Any) -> bool:
        """Take a successor from a trusted origin, not from a host that a redirect led to."""
        headers = response.headers
        if "x-refresh-token" not in headers or not self._may_carry_token(response.request.url):
            return False
        return self.renewal.adopt(headers["x-refresh-token"], http_date(headers.get("date", "")))

    def _is_refused(self, response: Any) -> bool:
        """Return whether the response refuses the access token and a renewal may help."""
        if response.status_code != 401:
            return False
        tokens = self.renewal.tokens
        return (
            'error="invalid_token"' in response.headers.get("www-authenticate", "")
            and self._may_carry_token(response.request.url)
            and (tokens is None or bool(tokens.refresh_token))
        )

    def _is_replayable(self, stream: Any) -> bool:
        """Return whether a body can be sent twice.

        The libraries rewind each file of a multipart body before they read it.
        """
        if isinstance(stream, self._multipart):
            return all(_can_rewind(getattr(field, "file", b"")) for field in stream.fields)
        return isinstance(stream, self._replayable)

    def _may_carry_token(self, url: Any) -> bool:
        return (url.scheme, url.host, url.port or PORTS.get(url.scheme)) in self._origins


async def _call(call: Callable[[], Any]) -> Any:
    """Call a blocking function on the renewal's own thread.

    A thread pool cannot be used: at interpreter exit it accepts no more work.
    """
    return call()


def _can_rewind(file: Any) -> bool:
    if isinstance(file, str | bytes):
        return True
    seekable = getattr(file, "seekable", None)
    return seekable is not None and bool(seekable())


def _origins_of(refresh_url: str, origins: Iterable[str]) -> frozenset[Origin]:
    """Return the origins to which a token may be sent, or raise with all faults."""
    if isinstance(origins, str):
        raise ConfigurationError(["origins is a string, expected a list of origins"])
    found = [origin_of(refresh_url)]
    faults = [] if found[0] else ["refresh_url is not an http or https URL with a host"]
    for position, text in enumerate(origins):
        origin, rest = origin_of(text), text.partition("://")[2]
        if origin is None or any(mark in rest for mark in "/?#@"):
            faults.append(  # without the text, which may contain a password
                f"origins[{position}] is not an origin, expected scheme, host and port only,"
                " such as https://api.shop.example"
            )
        found.append(origin)
    if faults:
        raise ConfigurationError(faults)
    return frozenset(origin for origin in found if origin is not None)


def _with_token(request: Any, token: str) -> Any:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
