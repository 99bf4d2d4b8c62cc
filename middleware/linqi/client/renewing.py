"""One renewal for all tasks and threads of a client: what to do next, without any HTTP library."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from linqi.client.judge import HeldToken, JudgeSettings, hold, judge, seconds_left
from linqi.client.posting import Answer
from linqi.client.tokens import (
    AccessClaims,
    MemoryStorage,
    Tokens,
    TokenStorage,
    read_claims,
    tokens_of,
)
from linqi.errors import MalformedToken, QuietExpired, SignedOut, Unavailable

__all__ = ["Plan", "Renewing"]

_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 30.0
_LONGEST_RETRY_AFTER: Final = 300.0
"""A server that asks for more is not believed: its sessions would end meanwhile."""
_log: Final = logging.getLogger("linqi.client")
_living: Final[weakref.WeakSet[Renewing]] = weakref.WeakSet()
"""Who begins anew in a child after ``fork``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a request does about its token."""

    token: str = ""
    """The access token to send now; empty when the request must wait for the renewal first."""
    flight: Future[None] | None = None
    """The renewal to wait for."""
    is_leader: bool = False
    """The caller begins the renewal."""


class Renewing:
    """Holds the tokens of one session; safe from any thread.

    A caller asks for a `plan`. The one that leads a flight sees to it that the refresh token is
    posted and the answer given to `settle`; everybody who waits then asks for a plan again.
    Only `reload`, `save`, `sign_in` and `sign_out` touch the storage, and may take as long as it.

    `longest_flight`: after so many seconds nobody is believed to lead a flight any more, and the
    next caller begins another. It must be longer than a renewal may take.
    """

    def __init__(
        self,
        tokens: Tokens | None = None,
        *,
        storage: TokenStorage | None = None,
        settings: JudgeSettings | None = None,
        longest_flight: float = 30.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._storage = storage or MemoryStorage()
        self._settings = settings or JudgeSettings()
        self._longest_flight = longest_flight
        self._wall = wall
        self._monotonic = monotonic
        self._chance = chance
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._flight: Future[None] | None = None
        self._flight_ends_at = 0.0
        self._failures = 0
        self._retry_at = -float("inf")
        self._why_over = "nobody has signed in"
        self._tokens: Tokens | None = None
        self._claims: AccessClaims | None = None
        self._held: HeldToken | None = None
        self._sendable: tuple[str, HeldToken] | None = None  # replaced whole: read without the lock
        self._doubted = ""
        self._kept: Tokens | None = None
        self.renewals = 0
        """How often new tokens were taken up."""
        _living.add(self)
        if tokens is not None:
            self.sign_in(tokens)
        elif (found := self._storage.load()) is not None:
            self._kept = found
            try:
                self._take(found, None)
            except MalformedToken:  # the refresh token may still be good
                self._take(Tokens(access_token="", refresh_token=found.refresh_token), None)

    @property
    def tokens(self) -> Tokens | None:
        """The tokens at hand; None after the session ended."""
        return self._tokens

    def fresh_token(self) -> str:
        """Give the access token while it is fresh; empty when a `plan` is needed."""
        sendable = self._sendable
        if sendable is None or judge(sendable[1], self._wall(), self._monotonic()) != "fresh":
            return ""
        return sendable[0]

    def quiet_token(self) -> str:
        """Return the access token while it lives, without a renewal.

        Raises:
            QuietExpired: It is over.
            SignedOut: So is the session.

        """
        sendable, why = self._sendable, self._why_over
        if self._tokens is None:
            raise SignedOut(why)
        if sendable is None or judge(sendable[1], self._wall(), self._monotonic()) == "expired":
            raise QuietExpired("the access token is over, and a quiet request renews none")
        return sendable[0]

    def plan(self, refused: str = "") -> Plan:
        """Tell what a request does now; `refused` is an access token that the server refused.

        `SignedOut` when the session is over; `Unavailable` when no token lives and the server
        could not be reached a moment ago.
        """
        with self._lock:
            tokens, held = self._tokens, self._held
            if tokens is None:
                raise SignedOut(self._why_over)
            now = self._monotonic()
            verdict = "expired" if held is None else judge(held, self._wall(), now)
            token = tokens.access_token
            is_refused = token in (refused, self._doubted)
            if verdict == "fresh" and not is_refused:
                return Plan(token=token)
            if is_refused:
                verdict = "expired"
            if not tokens.refresh_token:
                if verdict == "expired":
                    raise SignedOut("the access token is over and there is no refresh token")
                return Plan(token=token)
            sendable = token if verdict == "advisory" else ""
            if self._flight is not None and now < self._flight_ends_at:
                return Plan(token=sendable, flight=self._flight)
            if now >= self._retry_at:
                return self._lead(sendable, now)
            if verdict != "expired":
                return Plan(token=token)  # the server is away, and the token still lives
            raise Unavailable(
                "the access token is over and no new one could be had",
                retry_after=self._retry_at - now,
            )

    def doubt(self, token: str) -> None:
        """Remember that the server refused `token`: the next request renews before it is sent.

        For a request that cannot be sent a second time. Without effect where `token` is no longer
        the one at hand, or no refresh token could bring another.
        """
        with self._lock:
            tokens = self._tokens
            if tokens is not None and tokens.access_token == token and tokens.refresh_token:
                self._doubted = token
                self._sendable = None

    def settle(self, flight: Future[None], answer: Answer) -> None:
        """End a flight with what the refresh route answered; a second time does nothing."""
        with self._lock:
            if flight.done() and flight is not self._flight:
                if answer.status == 200:
                    self._take_answer(answer)  # of a leader who was given up: maybe still newer
                return
            if flight is self._flight:
                self._flight = None
            self._weigh(answer)
        if not flight.done():
            flight.set_result(None)

    def adopt(self, token: str, date: float | None = None) -> bool:
        """Take up a successor from ``X-Refresh-Token``, unless a newer one is at hand.

        One of another user or another session is none.
        """
        with self._lock:
            if self._tokens is None or self._claims is None:
                return False
            try:
                claims = read_claims(token)
            except MalformedToken:
                return False
            if claims.exp <= self._claims.exp or not claims.is_same_session(self._claims):
                return False
            before = self._tokens
            self._take(
                Tokens(
                    access_token=token,
                    refresh_token=before.refresh_token,
                    sequence=before.sequence,
                ),
                date,
            )
            return True

    def reload(self) -> bool:
        """Take up what another process has kept since; tell whether there was something.

        Not another user's tokens, nor those of an earlier rotation.
        """
        with self._saving:
            try:
                found = self._storage.load()
            except Exception as error:  # noqa: BLE001 - a storage may be anybody's
                _log.warning("the tokens could not be read again: %s", type(error).__name__)
                return False
            with self._lock:
                try:
                    if found is None or found == self._kept or not self._is_later(found):
                        return False
                    self._take(found, None)
                except MalformedToken:
                    return False
                self._kept = found
                self._failures, self._retry_at = 0, -float("inf")
                return True

    def save(self) -> None:
        """Keep the tokens at hand; a storage that cannot is logged, for the tokens are good."""
        try:
            self._keep()
        except Exception as error:  # noqa: BLE001 - a storage may be anybody's
            _log.warning("the tokens could not be kept: %s", type(error).__name__)

    def sign_in(self, tokens: Tokens, date: float | None = None) -> None:
        """Begin a session with the tokens of a login, and keep them."""
        with self._lock:
            self._failures, self._retry_at = 0, -float("inf")
            self._end("the login gave no token")
            self._take(tokens, date)
        self._keep()

    def sign_out(self) -> Tokens | None:
        """Forget the tokens; give them, for the server to revoke."""
        with self._lock:
            tokens = self._tokens
            self._end("signed out")
        self._keep()
        return tokens

    def seconds_left(self) -> float:
        """Give how long the access token at hand lives; 0 or less when there is none."""
        with self._lock:
            if self._held is None:
                return 0.0
            return seconds_left(self._held, self._wall(), self._monotonic())

    def begin_anew(self) -> None:
        """Leave to the parent what it was doing when this process was forked from it.

        A lock may be held and a flight led by a thread that this process does not have.
        """
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._flight = None

    def _lead(self, sendable: str, now: float) -> Plan:
        given_up = self._flight
        self._flight = Future()
        self._flight_ends_at = now + self._longest_flight
        if given_up is not None and not given_up.done():
            given_up.set_result(None)  # its leader is gone; who waits for it waits for the next
        return Plan(token=sendable, flight=self._flight, is_leader=True)

    def _weigh(self, answer: Answer) -> None:
        """Take up new tokens, end the session, or put the next attempt off."""
        if answer.status == 200:
            is_current, before = self._is_current(answer), self._tokens
            if self._take_answer(answer) and self._is_use(before):
                self._failures, self._retry_at = 0, -float("inf")
            elif is_current:
                self._put_off(answer)  # or who waits would ask again at once, and for ever
        elif answer.is_refusal:
            if self._is_current(answer):
                self._end("the server refused the refresh token")
        elif answer.status >= 0:
            self._put_off(answer)

    def _take_answer(self, answer: Answer) -> bool:
        try:
            tokens = tokens_of(answer.body, self._tokens)
            if not self._is_current(answer) and not self._is_later(tokens, is_counted=True):
                return False
            if self._tokens is not None and 0 <= tokens.sequence < self._tokens.sequence:
                return False
            self._take(tokens, answer.date)
        except MalformedToken:
            return False
        return True

    def _is_use(self, before: Tokens | None) -> bool:
        """Tell whether the tokens just taken up let requests go on: another token, and alive."""
        tokens, held = self._tokens, self._held
        if tokens is None or held is None:
            return False
        is_same = before is not None and before.access_token == tokens.access_token
        return not is_same and judge(held, self._wall(), self._monotonic()) != "expired"

    def _is_current(self, answer: Answer) -> bool:
        """Tell whether an answer is about the refresh token at hand, not about one before it."""
        return self._tokens is not None and answer.presented == self._tokens.refresh_token

    def _is_later(self, tokens: Tokens, *, is_counted: bool = False) -> bool:
        """Tell whether `tokens` came after those at hand: by the sequence within one session.

        Another session of the same user is later, but where only a sequence counts.
        """
        if self._tokens is None:
            return False
        if self._claims is None or not tokens.access_token:
            return tokens.sequence > self._tokens.sequence
        claims = read_claims(tokens.access_token)
        if claims.is_same_session(self._claims):
            if tokens.sequence == self._tokens.sequence and not is_counted:
                return claims.exp > self._claims.exp
            return tokens.sequence > self._tokens.sequence
        return claims.sub == self._claims.sub and not is_counted

    def _put_off(self, answer: Answer) -> None:
        backoff = min(_FIRST_BACKOFF * 2.0 ** min(self._failures, 10), _LONGEST_BACKOFF)
        asked_for = min(answer.retry_after, _LONGEST_RETRY_AFTER)
        self._failures += 1
        self._retry_at = self._monotonic() + max(backoff * (0.5 + self._chance() / 2), asked_for)
        _log.info("a renewal failed: status %d %s", answer.status, answer.detail)

    def _take(self, tokens: Tokens, date: float | None) -> None:
        claims = read_claims(tokens.access_token) if tokens.access_token else None
        if self._tokens is not None:
            self.renewals += 1
        self._tokens, self._claims = tokens, claims
        self._held = None if claims is None else self._hold(claims, tokens.refresh_in, date)
        if self._held is None or tokens.access_token == self._doubted:
            self._sendable = None
        else:
            self._sendable = (tokens.access_token, self._held)

    def _hold(
        self, claims: AccessClaims, refresh_in: float | None, date: float | None
    ) -> HeldToken:
        return hold(
            issued_at=claims.iat,
            expires_at=claims.exp,
            wall=self._wall(),
            monotonic=self._monotonic(),
            date=date,
            refresh_in=refresh_in,
            chance=self._chance(),
            settings=self._settings,
        )

    def _end(self, why: str) -> None:
        self._tokens, self._claims, self._held, self._sendable = None, None, None, None
        self._why_over = f"{why}; sign in again"

    def _keep(self) -> None:
        """Save the tokens at hand, in the order in which they came.

        At the end of a session a login that another process has kept since stays.
        """
        with self._saving:
            tokens, kept = self._tokens, self._kept
            if tokens is kept:
                return
            found = self._storage.load() if tokens is None else None
            if found is None or kept is None or found.refresh_token == kept.refresh_token:
                self._storage.save(tokens)
            self._kept = tokens


def _begin_anew() -> None:
    for renewing in list(_living):
        renewing.begin_anew()


# Not a comparison of process ids: that is paid by every request, and two threads of the child may
# both find another id, and each make a lock. This runs while the child has a single thread.
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_begin_anew)
