"""Asks one issuer about its opaque tokens: once for all requests with a token, within bounds."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from linqi._reference_count import ReferenceCount
from linqi._single_flight import SingleFlight
from linqi.errors import (
    ConfigurationError,
    FetchFailed,
    InactiveToken,
    LinqiError,
    RefusedAnswer,
    TokenError,
    Unavailable,
    UnknownKey,
)
from linqi.events import (
    AnswerRefused,
    Dispatcher,
    Event,
    Hook,
    IntrospectionFailed,
    IntrospectionThrottled,
    TokenIntrospected,
)
from linqi.introspection.answers import Answers
from linqi.introspection.endpoint import ClientAuth, IntrospectionEndpoint
from linqi.introspection.lane import Lane
from linqi.introspection.question import Ask, AskFunction, Question
from linqi.introspection.settings import IntrospectionSettings
from linqi.introspection.state import IntrospectionState
from linqi.jose.issuers import AnyAudience
from linqi.jose.key import Key
from linqi.jose.opaque_issuer import Answer, OpaqueIssuer
from linqi.jwks.access import RemoteAccess
from linqi.jwks.http import RemoteLimits

__all__ = ["Introspection"]

_REPORT_SECONDS: Final = 10.0


class Introspection:
    """Asks one issuer about its tokens, and remembers what it said, on one event loop.

    A token that was just asked about is a look-up without waiting. Requests with one token share
    one question, which none of them cancels. An active token is asked about again before its answer
    is too old. While the issuer cannot be asked, tokens without an answer that still counts get
    503. The issuer is told tokens; no other party is, and redirects are not followed.

    Args:
        issuer: The ``iss`` of its tokens; an answer that names another is refused.
        url: The introspection endpoint (RFC 7662); None with `ask`.
        ask: An async function of the application instead: receives the token and returns its
            claims, or None if it is not active.
        client_id: The name of this API at the issuer.
        client_secret: Its secret, or the path of a file that is read for each request.
        client_auth: How both are sent: ``"basic"`` or ``"post"`` (RFC 6749, section 2.3.1).
        access: What a server in a private network needs; its ``token_file`` is sent as a bearer
            token instead of `client_id`.
        settings: How long an answer counts, and how often the issuer is asked.
        limits: The limits on the time and size of one response.
        client: An `httpx2.AsyncClient`, for a proxy; it is not closed.
        hooks: Receive the events; `JWTMiddleware` adds its own hooks.
        clock: Returns Unix seconds.
        monotonic: Returns a monotonic clock in seconds.
        chance: Returns a random number from 0 to 1.

    Raises:
        ConfigurationError: An argument is invalid; lists every fault.

    """

    def __init__(
        self,
        issuer: str,
        *,
        url: str | None = None,
        ask: Ask | None = None,
        client_id: str | None = None,
        client_secret: str | Path | None = None,
        client_auth: Literal["basic", "post"] = "basic",
        access: RemoteAccess | None = None,
        settings: IntrospectionSettings | None = None,
        limits: RemoteLimits | None = None,
        client: Any = None,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.issuer = issuer
        self.generation = 0
        self.trusted_until = math.inf
        self._settings = settings or IntrospectionSettings()
        self._limits = limits or RemoteLimits()
        auth = ClientAuth(client_id, client_secret, client_auth)
        self._question: Question
        if ask is None:
            reached = access or RemoteAccess()
            self._question = IntrospectionEndpoint(issuer, url, auth, reached, self._limits, client)
        else:
            beside = {"url": url, "client_id": client_id, "client_secret": client_secret}
            if faults := _ask_faults(ask, beside | {"access": access}):
                raise ConfigurationError(faults)
            self._question = AskFunction(issuer, ask, self._limits.timeout)
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._answers = Answers(self._settings, clock, monotonic)
        # Apart, so that no flood of new tokens keeps known ones from being asked about, and no
        # failure that a made-up token causes.
        self._new_lane = Lane(self._settings, self._settings.new_per_second)
        self._known_lane = Lane(self._settings)
        self._flight: SingleFlight[bytes, None] = SingleFlight()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starts = ReferenceCount()
        self._last_success: float | None = None
        self._requests = self._throttled = self._unreported = 0
        self._reported_at = -math.inf

    def trust(self, audience: str | Sequence[str] | AnyAudience, **options: Any) -> OpaqueIssuer:
        """Return the issuer, asked by this; `options` are those of `OpaqueIssuer`."""
        return OpaqueIssuer(issuer=self.issuer, audience=audience, source=self, **options)

    def listen(self, *hooks: Hook) -> None:
        """Add `hooks`; a hook that is added twice is called once."""
        self._events.add(*hooks)

    def find(self, alg: str, kid: str | None) -> Key:
        """Raise `UnknownKey`: no token of the issuer is verified by a key."""
        raise UnknownKey(f"the issuer is asked about its tokens: it has no key for {alg} ({kid!r})")

    def answer(self, digest: bytes) -> Answer:
        """Return the answer about a token, without waiting.

        One that is soon too old is asked for again meanwhile.

        Raises:
            InactiveToken: The issuer said that the token is not active.
            RefusedAnswer: Its answer about the token cannot be used.
            Unavailable: There is no answer now; `ask` may bring one.

        """
        lane = self._lane_of(digest)
        answer = self._answers.find(digest, lane.retry_at - self._monotonic())
        if answer is None:
            raise self._unavailable(lane)
        if (token := self._answers.due(digest)) is not None:
            self._ask_in_background(token, digest)
        return answer

    async def ask(self, token: bytes, digest: bytes) -> bool:
        """Wait for an answer about `token`, if the issuer may be asked now.

        All requests with one token share one question. None is asked within the pause after a
        failure, nor where too many tokens are new or wait.

        Returns:
            Whether an answer was waited for, so that another `answer` may succeed.

        """
        self._keep_here()
        try:
            self.answer(digest)
        except TokenError:
            return True
        except Unavailable:
            if self._answers.is_cut(digest):
                self.generation += 1  # else their entry would hide the next answer
            return await self._fly(token, digest)
        return False  # something else was not available

    async def ask_ahead(self, digest: bytes) -> None:
        """Ask again about an active token whose answer is soon too old."""
        self._keep_here()
        if (token := self._answers.due(digest)) is not None:
            await self._fly(token, digest)

    async def probe(self, token: str) -> bool:
        """Ask about `token`, remember nothing, and return whether it is active.

        Raises:
            FetchFailed: The issuer cannot be asked.
            TokenError: Its answer cannot be used.

        """
        self._keep_here()
        now, bound = self._clock(), self._settings.trust_seconds
        return await self._question.ask(token.encode("ascii"), now, bound) is not None

    async def start(self) -> None:
        """Count a user; nothing is asked before the first token comes."""
        self._starts.acquire()
        self._keep_here()

    async def close(self) -> None:
        """Cancel what is being asked, after as many calls as of `start`; answers stay."""
        if not self._starts.release():
            return
        if self._loop is asyncio.get_running_loop():
            self._flight.close()
            await self._question.aclose()

    def state(self) -> IntrospectionState:
        """Return the current state, for readiness probes and operators."""
        lanes = (self._known_lane, self._new_lane)
        return IntrospectionState(
            issuer=self.issuer,
            last_success=self._last_success,
            failures=max(lane.failures for lane in lanes),
            last_error=self._known_lane.last_error or self._new_lane.last_error,
            paused_for=max(0.0, *(lane.retry_at - self._monotonic() for lane in lanes)),
            requests=self._requests,
            active=self._answers.active,
            refused=self._answers.refused,
            waiting=len(self._flight),
            throttled=self._throttled,
        )

    def __repr__(self) -> str:
        return f"<Introspection {self.issuer}>"

    def _unavailable(self, lane: Lane) -> Unavailable:
        wait = lane.retry_at - self._monotonic()
        why = lane.last_error if wait > 0 else "it was not asked, or too many tokens are new"
        return Unavailable(
            f"{self.issuer} has not said whether the token is active: {why}",
            retry_after=max(1.0, wait),
        )

    def _keep_here(self) -> None:
        """Ask on the running event loop; what is asked on another one is of no use here."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop, self._flight = loop, SingleFlight()
        self._new_lane.move()
        self._known_lane.move()
        self._question.forget()

    def _lane_of(self, digest: bytes) -> Lane:
        return self._known_lane if self._answers.is_known(digest) else self._new_lane

    def _may_ask(self, digest: bytes) -> bool:
        """Return whether the issuer may be asked about a token now; counts what may not."""
        now, lane = self._monotonic(), self._lane_of(digest)
        if now < lane.retry_at:
            return False
        if lane.admits(now):
            return True
        self._throttled += 1
        self._unreported += 1
        if now >= self._reported_at + _REPORT_SECONDS:
            self._events(IntrospectionThrottled(issuer=self.issuer, requests=self._unreported))
            self._reported_at, self._unreported = now, 0
        return False

    async def _fly(self, token: bytes, digest: bytes) -> bool:
        """Join the question about a token or ask it; return False if it may not be asked."""
        if not self._begin(token, digest):
            return False
        await self._flight(digest, lambda: self._attempt(token, digest))
        return True

    def _begin(self, token: bytes, digest: bytes) -> bool:
        """Start to ask about a token; return False if it may not be asked about."""
        if self._flight.has(digest):
            return True
        if not self._may_ask(digest):
            return False
        task, _ = self._flight.start(digest, lambda: self._attempt(token, digest))
        self._lane_of(digest).hold(task)
        return True

    def _ask_in_background(self, token: bytes, digest: bytes) -> None:
        """Start asking about a known token again, where this runs on an event loop."""
        try:
            self._keep_here()
        except RuntimeError:
            return
        self._begin(token, digest)

    async def _attempt(self, token: bytes, digest: bytes) -> None:
        lane = self._lane_of(digest)
        if not await lane.enter(self._limits.timeout):
            return
        try:
            began = self._monotonic()
            if began >= lane.retry_at:  # else a request failed while this one waited
                await self._asked(token, digest, lane, began)
        finally:
            lane.leave()

    async def _asked(self, token: bytes, digest: bytes, lane: Lane, began: float) -> None:
        self._requests += 1
        now = self._clock()
        try:
            found = await self._question.ask(token, now, self._settings.trust_seconds)
        except RefusedAnswer as error:
            self._refuse(digest, error)
        except Exception as error:  # noqa: BLE001 - a function of the application may raise anything
            self._fail(lane, began, error)
            return
        else:
            if found is None:
                self._refuse(digest, InactiveToken("its issuer does not call the token active"))
            else:
                self._answers.remember(token, digest, found, began)
                self._report(digest, "active")
        self._last_success = now
        lane.succeeded()
        if lane is self._known_lane:
            self._new_lane.succeeded()

    def _refuse(self, digest: bytes, error: TokenError) -> None:
        """Remember that a token is refused; one that was active before is dropped everywhere."""
        if self._answers.refuse(digest, error):
            self.generation += 1  # else verifiers would accept it until its answer is too old
        if isinstance(error, InactiveToken):
            self._report(digest, "inactive")
        else:
            digits = digest.hex()[:8]
            self._events(AnswerRefused(issuer=self.issuer, token_digest=digits, detail=str(error)))

    def _report(self, digest: bytes, outcome: Literal["active", "inactive"]) -> None:
        digits = digest.hex()[:8]
        self._events(TokenIntrospected(issuer=self.issuer, token_digest=digits, outcome=outcome))

    def _fail(self, lane: Lane, began: float, error: Exception) -> None:
        # The text of a foreign exception may hold the token.
        why = str(error) if isinstance(error, LinqiError) else f"ask raised {type(error).__name__}"
        wait = error.retry_after if isinstance(error, FetchFailed | Unavailable) else None
        now = self._monotonic()
        if lane.failed(began, now, self._chance(), why, wait or 0):
            self._events(
                IntrospectionFailed(
                    issuer=self.issuer,
                    detail=why,
                    failures=lane.failures,
                    retry_in=max(0.0, lane.retry_at - now),
                )
            )


def _ask_faults(ask: object, beside: Mapping[str, object]) -> list[str]:
    faults = [] if callable(ask) else ["ask is not an async function"]
    return faults + [
        f"{name} is set beside ask, which does not receive it; remove one of the two"
        for name, value in beside.items()
        if value is not None
    ]
