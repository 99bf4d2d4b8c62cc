"""One renewal for all tasks and threads of a client: what to do next, without any HTTP library."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from linqi.client.judge import HeldToken, JudgeSettings, hold, judge, seconds_left
from linqi.client.tokens import MemoryStorage, Tokens, TokenStorage, read_times, tokens_of
from linqi.errors import MalformedToken, SignedOut, Unavailable

__all__ = ["Answer", "Plan", "Renewing"]

_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 30.0
_REFUSED: Final = frozenset({400, 401})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the refresh route answered.

    ``status`` is 0 when it could not be reached, and -1 when nobody tried to the end.
    """

    status: int
    body: Any = None
    """The JSON, or None."""
    date: str = ""
    """The ``Date`` header."""
    detail: str = ""
    """Why it could not be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a request does about its token."""

    token: str
    """The access token to send now; empty when it must wait for the renewal first."""
    flight: Future[None] | None = None
    """The renewal to wait for, or to make where `is_leader`."""
    is_leader: bool = False


class Renewing:
    """Holds the tokens of one session; every method is quick, and safe from any thread.

    A caller asks for a `plan`. The one that leads a flight posts the refresh token, gives the
    answer to `settle`, and everybody who waits for the flight asks for a plan again.
    """

    def __init__(
        self,
        tokens: Tokens | None = None,
        *,
        storage: TokenStorage | None = None,
        settings: JudgeSettings | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._storage = storage or MemoryStorage()
        self._settings = settings or JudgeSettings()
        self._wall = wall
        self._monotonic = monotonic
        self._chance = chance
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None
        self._failures = 0
        self._retry_at = -float("inf")
        self._ended: SignedOut | None = None
        self._tokens: Tokens | None = None
        self._held: HeldToken | None = None
        self.renewals = 0
        """How often new tokens were taken up."""
        found = tokens or self._storage.load()
        if found is not None:
            with self._lock:
                self._take(found, None)

    @property
    def tokens(self) -> Tokens | None:
        """The tokens at hand; None after the session ended."""
        return self._tokens

    def plan(self, refused: str = "") -> Plan:
        """Tell what a request does now; `refused` is an access token that the server refused.

        `SignedOut` when the session is over; `Unavailable` when no token lives and the server
        could not be reached a moment ago.
        """
        with self._lock:
            if self._ended is not None:
                raise self._ended
            if self._tokens is None or self._held is None:
                raise SignedOut("nobody has signed in")
            now = self._monotonic()
            verdict = judge(self._held, self._wall(), now)
            token = self._tokens.access_token
            if token == refused:
                verdict = "expired"
            if verdict == "fresh" or not self._can_renew():
                return Plan(token=token)
            may_try = now >= self._retry_at
            if verdict == "advisory":
                if self._flight is not None or not may_try:
                    return Plan(token=token)
                return self._lead()
            if self._flight is not None:
                return Plan(token="", flight=self._flight)
            if may_try:
                return self._lead()
            if verdict == "mandatory":
                return Plan(token=token)  # the server is away, and the token still lives
            raise Unavailable(
                "the access token is over and the server could not be reached",
                retry_after=self._retry_at - now,
            )

    def settle(self, flight: Future[None], answer: Answer) -> None:
        """End a flight with what the refresh route answered."""
        with self._lock:
            try:
                self._judge_answer(answer)
            finally:
                self._flight = None
        flight.set_result(None)

    def adopt(self, token: str, date: str = "") -> bool:
        """Take up a successor from ``X-Refresh-Token``, unless a newer one is at hand."""
        with self._lock:
            if self._tokens is None or self._held is None:
                return False
            try:
                _, expires_at = read_times(token)
            except MalformedToken:
                return False
            if expires_at <= self._held.expires_at:
                return False
            before = self._tokens
            self._take(
                Tokens(
                    access_token=token,
                    refresh_token=before.refresh_token,
                    sequence=before.sequence,
                ),
                _parse_date(date),
            )
            return True

    def sign_in(self, tokens: Tokens, date: str = "") -> None:
        """Begin a session with the tokens of a login."""
        with self._lock:
            self._ended, self._failures, self._retry_at = None, 0, -float("inf")
            self._tokens = None
            self._take(tokens, _parse_date(date))

    def sign_out(self) -> Tokens | None:
        """Forget the tokens; give them, for the server to revoke."""
        with self._lock:
            return self._end("signed out")

    def seconds_left(self) -> float:
        """Give how long the access token at hand lives; 0 or less when there is none."""
        with self._lock:
            if self._held is None:
                return 0.0
            return seconds_left(self._held, self._wall(), self._monotonic())

    def _can_renew(self) -> bool:
        return self._tokens is not None and bool(self._tokens.refresh_token)

    def _lead(self) -> Plan:
        self._flight = Future()
        return Plan(token="", flight=self._flight, is_leader=True)

    def _judge_answer(self, answer: Answer) -> None:
        """Take up new tokens, end the session, or put the next attempt off."""
        is_refusal = answer.status in _REFUSED and _error_of(answer.body) == "invalid_grant"
        if answer.status == 200:
            try:
                tokens = tokens_of(answer.body, self._tokens)
                if self._is_newer(tokens):
                    self._take(tokens, _parse_date(answer.date))
                    self._failures, self._retry_at = 0, -float("inf")
                else:
                    self._put_off()
            except MalformedToken:
                self._put_off()
        elif is_refusal:
            self._end("the server refused the refresh token")
        elif answer.status >= 0:
            self._put_off()

    def _is_newer(self, tokens: Tokens) -> bool:
        """Tell whether an answer is not a late one; a server that does not count is believed."""
        return self._tokens is None or not 0 <= tokens.sequence < self._tokens.sequence

    def _put_off(self) -> None:
        backoff = min(_FIRST_BACKOFF * 2.0 ** min(self._failures, 10), _LONGEST_BACKOFF)
        self._failures += 1
        self._retry_at = self._monotonic() + backoff * (0.5 + self._chance() / 2)

    def _take(self, tokens: Tokens, date: float | None) -> None:
        issued_at, expires_at = read_times(tokens.access_token)
        if self._tokens is not None:
            self.renewals += 1
        self._tokens = tokens
        self._held = hold(
            issued_at=issued_at,
            expires_at=expires_at,
            wall=self._wall(),
            monotonic=self._monotonic(),
            date=date,
            refresh_in=tokens.refresh_in,
            chance=self._chance(),
            settings=self._settings,
        )
        self._storage.save(tokens)

    def _end(self, why: str) -> Tokens | None:
        tokens, self._tokens, self._held = self._tokens, None, None
        self._ended = SignedOut(f"{why}; sign in again")
        self._storage.save(None)
        return tokens


def _parse_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def _error_of(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, str) else ""
