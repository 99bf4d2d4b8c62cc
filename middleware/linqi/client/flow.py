"""The way of one request through the client: token, send, adopt, and once more after a 401."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from linqi.client.judge import JudgeSettings
from linqi.client.posting import Answer, instant, post
from linqi.client.renewing import Plan, Renewing
from linqi.client.tokens import Tokens, TokenStorage
from linqi.errors import ConfigurationError, Unavailable

__all__ = ["RefreshingFlow"]

_TRIES: Final = (0.0, 0.2, 0.6)
"""Seconds before each try of one renewal: a lost reply is answered with the same successor."""
_LONGEST_PAUSE: Final = 2.0
"""A ``Retry-After`` above it ends the tries; the renewal is then put off for so long."""
_AWAY: Final = frozenset({0, 502, 503, 504})
_RENEWAL_SECONDS: Final = 20.0
"""All tries of one renewal, however slowly the answer drips."""
_PORTS: Final = {"http": 80, "https": 443}

_Run: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
_Origin: TypeAlias = tuple[str, str, int]


class RefreshingFlow:
    """What the ``Auth`` classes of httpx2 and httpx share.

    Args:
        refresh_url: Where the refresh token is posted. Only requests to its origin and to
            `origins` carry an access token.
        origins: Other origins whose requests carry the access token, such as
            ``https://api.shop.example``: scheme, host and, where it is not the usual one, port.
            Default none. The refresh token goes to `refresh_url` only.
        quiet_header: The request header by which the server knows a quiet request, its own
            `quiet_header`; it is added to requests with ``extensions={"linqi_quiet": True}``.
            Default none: the server then knows them by their paths.
        make_client: Returns the asynchronous client that posts the refresh token, for proxies or
            certificates of your own. Synchronous programs use it, too: a renewal runs beside
            their requests.
        longest_flight: Seconds after which a renewal that did not end is given up. Default 30.

    """

    def __init__(
        self,
        refresh_url: str,
        tokens: Tokens | None = None,
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
        self.renewing = Renewing(
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
        way, response = self._way(request), None
        while True:
            try:
                step = way.send(response)
            except StopIteration:
                return
            response = None
            if isinstance(step, Plan):
                self._follow(step)
            elif callable(step):
                step()
            else:
                response = yield step

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Send a request of an asynchronous client."""
        way, response = self._way(request), None
        while True:
            try:
                step = way.send(response)
            except StopIteration:
                return
            response = None
            if isinstance(step, Plan):
                await self._async_follow(step)
            elif callable(step):
                await asyncio.to_thread(step)
            else:
                response = yield step

    def token(self) -> str:
        """Give an access token to send now, for whatever is no client of this library.

        Renews it first where it is close to its end. `SignedOut` and `Unavailable` as for a
        request.
        """
        asking = self._asking("")
        while True:
            try:
                self._follow(next(asking))
            except StopIteration as done:
                return str(done.value)

    def _way(self, request: Any) -> Generator[Any, Any, None]:
        """Yield what is to be sent, and before it what must be done: a `Plan`, or a call."""
        if not self._is_ours(request.url):
            yield request
            return
        if request.extensions.get("linqi_quiet"):
            yield self._quieted(request)
            return
        # Without a plan while the token is fresh: 4.4 us beside a constant token, not 5.5.
        token = self.renewing.fresh_token() or (yield from self._asking(""))
        response = yield _signed(request, token)
        if self._adopt(response):
            yield self.renewing.save
        if self._is_refused(response):
            if not self._is_replayable(request.stream):
                self.renewing.doubt(token)
                return
            try:
                token = yield from self._asking(token)
            except Unavailable:
                return
            response = yield _signed(request, token)
            if self._adopt(response):
                yield self.renewing.save

    def _quieted(self, request: Any) -> Any:
        """Return a request that extends no session: no renewal before it or after a 401.

        A successor that a server sends all the same is not taken up.
        """
        if self._quiet_header is not None:
            request.headers[self._quiet_header] = "1"
        return _signed(request, self.renewing.quiet_token())

    def _asking(self, refused: str) -> Generator[Plan, None, str]:
        """Give the token to send, when it is there."""
        while True:
            plan = self.renewing.plan(refused)
            if plan.flight is not None and (plan.is_leader or not plan.token):
                yield plan
            if plan.token:
                return plan.token

    def _follow(self, plan: Plan) -> None:
        """Begin a renewal in a thread of its own, or wait for one.

        No daemon: a program that ends waits until the new tokens are kept. A thread that cannot
        begin any more leaves the renewal to the next caller.
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
                self.renewing.settle(flight, Answer(status=0, detail="no thread"))
        if not plan.token:
            concurrent.futures.wait([flight], timeout=self._longest_flight)

    def _renew_in_thread(self, flight: Future[None]) -> None:
        """Renew on an event loop of its own; the flight is settled even where that cannot run.

        Under gevent's monkey patching this thread is a greenlet, and ``asyncio.run`` raises where
        another greenlet of the same thread runs an event loop.
        """
        work = self._renew(flight, _at_once)
        detail = "ended"
        try:
            asyncio.run(work)
        except Exception as error:  # noqa: BLE001 - a thread has no caller to raise it to
            detail = type(error).__name__
        finally:
            work.close()
            self.renewing.settle(flight, Answer(status=0, detail=detail))

    async def _async_follow(self, plan: Plan) -> None:
        """Begin a renewal in a task of its own, or wait for one; who leaves cancels nothing."""
        flight = plan.flight
        if flight is None:
            return
        if plan.is_leader:
            task = asyncio.get_running_loop().create_task(self._renew(flight, asyncio.to_thread))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # A task that is cancelled before its first step never comes to its own end.
            task.add_done_callback(lambda _: self.renewing.settle(flight, Answer(status=-1)))
        if not plan.token:
            await asyncio.wait([asyncio.wrap_future(flight)], timeout=self._longest_flight)

    async def _renew(self, flight: Future[None], run: _Run) -> None:
        """Post the refresh token, unless another process has; every way out settles the flight.

        `run` calls what touches the storage, and may take long.
        """
        answer = Answer(status=-1)  # where this is cancelled, the next caller leads
        try:
            if not await run(self.renewing.reload):
                answer = await self._asked()
                if answer.is_refusal and await run(self.renewing.reload):
                    answer = Answer(status=-1)
        except Exception as error:  # noqa: BLE001 - no way out may leave the waiters waiting
            answer = Answer(status=0, detail=type(error).__name__)
        finally:
            self.renewing.settle(flight, answer)
        await run(self.renewing.save)

    async def _asked(self) -> Answer:
        """Give what the refresh route says, after as many tries as make sense."""
        answer = Answer(status=0, detail="too slow")
        try:
            async with asyncio.timeout(_RENEWAL_SECONDS), self._make_client() as client:
                for pause in _TRIES:
                    if answer.retry_after > _LONGEST_PAUSE:
                        break
                    await self._sleep(max(pause, answer.retry_after))
                    answer = await self._posted(client)
                    if answer.status not in _AWAY:
                        break
        except Exception as error:  # noqa: BLE001 - whatever the library throws
            if answer.status != 200:
                return Answer(status=0, detail=type(error).__name__)
        return answer

    async def _posted(self, client: Any) -> Answer:
        """Post the refresh token once."""
        tokens = self.renewing.tokens
        return await post(client, self._url, "" if tokens is None else tokens.refresh_token)

    def _adopt(self, response: Any) -> bool:
        """Take up a successor that our own server sent, not one that a redirect led to."""
        headers = response.headers
        if "x-refresh-token" not in headers or not self._is_ours(response.request.url):
            return False
        return self.renewing.adopt(
            headers["x-refresh-token"], instant(response.headers.get("date", ""))
        )

    def _is_refused(self, response: Any) -> bool:
        """Check whether a 401 is about the token, and a renewal may bring a better one."""
        if response.status_code != 401:
            return False
        tokens = self.renewing.tokens
        return (
            'error="invalid_token"' in response.headers.get("www-authenticate", "")
            and self._is_ours(response.request.url)
            and (tokens is None or bool(tokens.refresh_token))
        )

    def _is_replayable(self, stream: Any) -> bool:
        """Check whether a body can be sent a second time.

        The libraries rewind each file of a multipart body before they read it.
        """
        if isinstance(stream, self._multipart):
            return all(_rewinds(getattr(field, "file", b"")) for field in stream.fields)
        return isinstance(stream, self._replayable)

    def _is_ours(self, url: Any) -> bool:
        return (url.scheme, url.host, url.port or _PORTS.get(url.scheme)) in self._origins


async def _at_once(call: Callable[[], Any]) -> Any:
    """Call what may take long, in a thread that has nothing else to do.

    Not in a worker of a pool: a program that ends takes no more work for its pools.
    """
    return call()


def _rewinds(file: Any) -> bool:
    if isinstance(file, str | bytes):
        return True
    seekable = getattr(file, "seekable", None)
    return seekable is not None and bool(seekable())


def _origins_of(refresh_url: str, origins: Iterable[str]) -> frozenset[_Origin]:
    """Return the origins that a token may be sent to; `ConfigurationError` with every fault."""
    if isinstance(origins, str):
        raise ConfigurationError(["origins is a string, expected a list of origins"])
    found = [_origin_of(refresh_url)]
    faults = [] if found[0] else ["refresh_url is no URL of http or https with a host"]
    for position, text in enumerate(origins):
        origin, rest = _origin_of(text), text.partition("://")[2]
        if origin is None or any(mark in rest for mark in "/?#@"):
            faults.append(  # without the text, which may hold a password
                f"origins[{position}] is no origin, expected scheme, host and port only,"
                " such as https://api.shop.example"
            )
        found.append(origin)
    if faults:
        raise ConfigurationError(faults)
    return frozenset(origin for origin in found if origin is not None)


def _origin_of(url: str) -> _Origin | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return (parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


def _signed(request: Any, token: str) -> Any:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
