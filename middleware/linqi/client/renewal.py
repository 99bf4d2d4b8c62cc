"""One renewal shared by all tasks and threads of a client, without any HTTP library."""

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

from linqi.client.backoff import Backoff
from linqi.client.http_post import PostResponse
from linqi.client.judge import HeldToken, JudgeSettings, hold, judge, seconds_left
from linqi.client.tokens import (
    AccessClaims,
    ClientTokens,
    MemoryStorage,
    TokenStorage,
    is_later,
    read_claims,
    tokens_of,
)
from linqi.errors import MalformedToken, QuietExpired, SignedOut, Unavailable

__all__ = ["RenewalPlan", "TokenRenewal"]

_log: Final = logging.getLogger("linqi.client")
_instances: Final[weakref.WeakSet[TokenRenewal]] = weakref.WeakSet()
"""The objects that a child process resets after ``fork``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalPlan:
    """What a request does next about its token."""

    token: str = ""
    """The access token to send now; empty if the request must first wait for the renewal."""
    flight: Future[None] | None = None
    """The renewal that is under way."""
    is_leader: bool = False
    """Whether the caller must start the renewal."""


class TokenRenewal:
    """Holds the tokens of one session; its methods may be called from any thread.

    A caller requests a `plan`. The leader of a flight posts the refresh token and passes the
    response to `settle`; callers that waited then request a plan again. Only `reload`, `save`,
    `sign_in` and `sign_out` use the storage, so only they may block.

    Args:
        tokens: The tokens of a login; None to load them from `storage`.
        storage: Where tokens are saved; in memory by default.
        settings: The thresholds of near expiry.
        longest_flight: Seconds after which a renewal that has not ended is abandoned and the next
            caller starts another. It must be longer than a renewal may take.
        wall, monotonic: Return the two clocks, in seconds.
        chance: Returns a random number from 0 to 1.

    """

    def __init__(
        self,
        tokens: ClientTokens | None = None,
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
        self._backoff = Backoff(monotonic, chance)
        self._why_over = "there is no session; sign in"
        self._tokens: ClientTokens | None = None
        self._claims: AccessClaims | None = None
        self._held: HeldToken | None = None
        self._sendable: tuple[str, HeldToken] | None = None  # replaced whole: read without the lock
        self._refused = ""
        self._saved: ClientTokens | None = None
        self.renewals = 0
        """How often new tokens replaced earlier ones."""
        _instances.add(self)
        if tokens is not None:
            self.sign_in(tokens)
        elif (found := self._storage.load()) is not None:
            self._saved = found
            try:
                self._take(found, None, is_stored=True)
            except MalformedToken:  # the refresh token may still be valid
                self._take(ClientTokens(access_token="", refresh_token=found.refresh_token), None)

    @property
    def tokens(self) -> ClientTokens | None:
        """The current tokens; None after the session ended."""
        return self._tokens

    def fresh_token(self) -> str:
        """Return the access token if it is fresh; empty if the caller needs a `plan`."""
        sendable = self._sendable
        if sendable is None or judge(sendable[1], self._wall(), self._monotonic()) != "fresh":
            return ""
        return sendable[0]

    def quiet_token(self) -> str:
        """Return the access token if it has not expired, without a renewal.

        Raises:
            QuietExpired: The access token has expired.
            SignedOut: The session has ended.

        """
        sendable, why = self._sendable, self._why_over
        if self._tokens is None:
            raise SignedOut(why)
        if sendable is None or judge(sendable[1], self._wall(), self._monotonic()) == "expired":
            raise QuietExpired("the access token has expired, and a quiet request renews none")
        return sendable[0]

    def plan(self, refused: str = "") -> RenewalPlan:
        """Return what a request does next.

        Args:
            refused: The access token with which the server has just answered 401; or empty.

        Raises:
            SignedOut: The session has ended.
            Unavailable: The access token has expired and the last renewal failed a moment ago.

        """
        with self._lock:
            tokens, held = self._tokens, self._held
            if tokens is None:
                raise SignedOut(self._why_over)
            now = self._monotonic()
            verdict = "expired" if held is None else judge(held, self._wall(), now)
            token = tokens.access_token
            is_refused = token in (refused, self._refused)
            if verdict == "fresh" and not is_refused:
                return RenewalPlan(token=token)
            if is_refused:
                verdict = "expired"
            if not tokens.refresh_token:
                if verdict == "expired":
                    raise SignedOut("the access token has expired and there is no refresh token")
                return RenewalPlan(token=token)
            sendable = token if verdict == "advisory" else ""
            if self._flight is not None and now < self._flight_ends_at:
                return RenewalPlan(token=sendable, flight=self._flight)
            if now >= self._backoff.retry_at:
                return self._start_flight(sendable, now)
            if verdict != "expired":
                return RenewalPlan(token=token)  # the last renewal failed; the token is still valid
            raise Unavailable(
                "the access token has expired and the last renewal failed",
                retry_after=self._backoff.retry_at - now,
            )

    def mark_refused(self, token: str) -> None:
        """Make the next request renew before it is sent, because the server refused `token`.

        For a request whose body cannot be sent twice. Has no effect if `token` was replaced
        meanwhile or there is no refresh token.
        """
        with self._lock:
            tokens = self._tokens
            if tokens is not None and tokens.access_token == token and tokens.refresh_token:
                self._refused = token
                self._sendable = None

    def settle(self, flight: Future[None], response: PostResponse) -> None:
        """End a flight with the response of the refresh route; a second call does nothing."""
        with self._lock:
            if flight.done() and flight is not self._flight:
                if response.status == 200:
                    self._take_response(response)  # of an abandoned flight: it may be newer
                return
            if flight is self._flight:
                self._flight = None
            self._apply(response)
        if not flight.done():
            flight.set_result(None)

    def adopt(self, token: str, date: float | None = None) -> bool:
        """Replace the access token by a successor from ``X-Refresh-Token``; return whether it was.

        It must expire later and name the same user and session.

        Args:
            token: The header's value.
            date: The response's ``Date`` header in Unix seconds, or None.

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
                ClientTokens(
                    access_token=token,
                    refresh_token=before.refresh_token,
                    sequence=before.sequence,
                ),
                date,
            )
            return True

    def reload(self) -> bool:
        """Replace the tokens by those that another process has saved; return whether it did.

        Tokens of another user and tokens of an earlier rotation are ignored.
        """
        with self._saving:
            try:
                found = self._storage.load()
            except Exception as error:  # noqa: BLE001 - an application's storage may raise anything
                _log.warning("the saved tokens could not be read: %s", type(error).__name__)
                return False
            with self._lock:
                try:
                    if found is None or found == self._saved or self._tokens is None:
                        return False
                    if not is_later(found, self._tokens):
                        return False
                    self._take(found, None, is_stored=True)
                except MalformedToken:
                    return False
                self._saved = found
                self._backoff.reset()
                return True

    def save(self) -> None:
        """Save the current tokens; log a failure, because the tokens in memory stay valid."""
        try:
            self._save()
        except Exception as error:  # noqa: BLE001 - an application's storage may raise anything
            _log.warning("the tokens could not be saved: %s", type(error).__name__)

    def sign_in(self, tokens: ClientTokens, date: float | None = None) -> None:
        """Begin a session with the tokens of a login, and save them.

        Raises:
            MalformedToken: The access token is not a JWT; the earlier session has ended, too.

        """
        with self._lock:
            self._backoff.reset()
            self._end("the login response had no valid token")
            self._take(tokens, date)
        self._save()

    def sign_out(self) -> ClientTokens | None:
        """Remove the tokens from memory and storage; return them, to be revoked at the server."""
        with self._lock:
            tokens = self._tokens
            self._end("signed out")
        self._save()
        return tokens

    def seconds_left(self) -> float:
        """Return the remaining life of the access token; 0 or less if it expired or is missing."""
        with self._lock:
            if self._held is None:
                return 0.0
            return seconds_left(self._held, self._wall(), self._monotonic())

    def reset_after_fork(self) -> None:
        """Drop the locks and the flight, which may belong to threads of the parent process."""
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._flight = None

    def _start_flight(self, sendable: str, now: float) -> RenewalPlan:
        abandoned = self._flight
        self._flight = Future()
        self._flight_ends_at = now + self._longest_flight
        if abandoned is not None and not abandoned.done():
            abandoned.set_result(None)  # its waiters then wait for the next flight
        return RenewalPlan(token=sendable, flight=self._flight, is_leader=True)

    def _apply(self, response: PostResponse) -> None:
        """Take new tokens, end the session, or delay the next attempt."""
        if response.status == 200:
            is_current, before = self._is_current(response), self._tokens
            if self._take_response(response) and self._is_usable(before):
                self._backoff.reset()
            elif is_current:
                self._back_off(response)  # else waiting requests would post again without end
        elif response.is_refusal:
            if self._is_current(response):
                self._end("the server refused the refresh token")
        elif response.status >= 0:
            self._back_off(response)

    def _take_response(self, response: PostResponse) -> bool:
        try:
            before = self._tokens
            tokens = tokens_of(response.body, before)
            if before is None:
                return False
            if not self._is_current(response) and not is_later(tokens, before, by_sequence=True):
                return False
            if 0 <= tokens.sequence < before.sequence:
                return False
            self._take(tokens, response.date)
        except MalformedToken:
            return False
        return True

    def _is_usable(self, before: ClientTokens | None) -> bool:
        """Return whether the new access token differs from the one before and has not expired."""
        tokens, held = self._tokens, self._held
        if tokens is None or held is None:
            return False
        is_same = before is not None and before.access_token == tokens.access_token
        return not is_same and judge(held, self._wall(), self._monotonic()) != "expired"

    def _is_current(self, response: PostResponse) -> bool:
        """Return whether the response is about the current refresh token, not an earlier one."""
        return self._tokens is not None and response.presented == self._tokens.refresh_token

    def _back_off(self, response: PostResponse) -> None:
        self._backoff.delay(response.retry_after)
        _log.info("a token renewal failed: status %d %s", response.status, response.detail)

    def _take(self, tokens: ClientTokens, date: float | None, *, is_stored: bool = False) -> None:
        claims = read_claims(tokens.access_token) if tokens.access_token else None
        if self._tokens is not None:
            self.renewals += 1
        self._tokens, self._claims, self._held = tokens, claims, None
        if claims is not None:
            self._held = hold(
                issued_at=claims.iat,
                expires_at=claims.exp,
                wall=self._wall(),
                monotonic=self._monotonic(),
                date=date,
                refresh_in=tokens.refresh_in,
                chance=self._chance(),
                is_stored=is_stored,
                settings=self._settings,
            )
        if self._held is None or tokens.access_token == self._refused:
            self._sendable = None
        else:
            self._sendable = (tokens.access_token, self._held)

    def _end(self, why: str) -> None:
        self._tokens, self._claims, self._held, self._sendable = None, None, None, None
        self._why_over = f"{why}; sign in again"

    def _save(self) -> None:
        """Save the current tokens, in the order of their arrival.

        At the end of a session, a login that another process has saved meanwhile is not removed.
        """
        with self._saving:
            tokens, saved = self._tokens, self._saved
            if tokens is saved:
                return
            found = self._storage.load() if tokens is None else None
            if found is None or saved is None or found.refresh_token == saved.refresh_token:
                self._storage.save(tokens)
            self._saved = tokens


def _reset_after_fork() -> None:
    for renewal in list(_instances):
        renewal.reset_after_fork()


# Process ids are not compared instead: every request would pay for it, and two threads of the child
# could each make a lock. This handler runs while the child has a single thread.
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_after_fork)
