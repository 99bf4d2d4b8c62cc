"""A session as its client sees it: its tokens, and the violations in what it receives."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

from linqi_storm.clients.identity import Identity
from linqi_storm.clients.recent_pairs import RecentPairs
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.violations import EXPIRED, UNANSWERED_DUE

__all__ = ["ClientSession", "Sent", "Tally", "Verdict"]

Verdict = Literal["ok", "renewed", "refused", "lost"]

_REMEMBERED: Final = 4
"""Renewals that a client remembers, to detect a second successor of one token."""
_COUNTED: Final = b"counted"
"""In place of a successor: a violation counts once per token."""
_EXAMPLES_OF_A_RULE: Final = 3
_NOTHING_EXPECTED: Final = Expectations()


@dataclass(slots=True)
class Tally:
    """Counts over all sessions of one generator; they add up over generators."""

    renewals: int = 0
    cycles: int = 0
    logins: int = 0
    lapsed: int = 0
    forced_out: int = 0
    by_lost_reply: int = 0
    duplicate_successors: int = 0
    expired_presented: int = 0
    reconnects: int = 0
    silent: int = 0
    quiet: int = 0
    """Quiet requests answered 2xx."""
    quiet_unsent: int = 0
    """Quiet requests not sent, because the token held had expired."""
    quiet_renewed: int = 0
    """Quiet requests answered with a successor: a violation."""
    probe_renewals: int = 0
    """Distinct successors of tokens that no honest client holds."""
    thefts: int = 0
    """Refresh tokens presented by a thief so that the service should notice."""
    renewed_at: Counter[int] = field(default_factory=Counter)
    """Distinct successors by millisecond since the barrier."""
    asked_at: Counter[int] = field(default_factory=Counter)
    """The same by the millisecond of the request, which no slow service delays."""
    violations: Counter[str] = field(default_factory=Counter)
    """Violations by the name of the rule."""
    checked: Counter[str] = field(default_factory=Counter)
    """How often each rule was checked."""
    overdue_accepts: list[tuple[str, float, float, str]] = field(default_factory=list)
    """Tokens accepted after a bound: rule, instant, seconds past the bound, description. Whether
    they are violations depends on what delayed the workers."""
    lags: list[tuple[int, float]] = field(default_factory=list)
    """Session index and lag in seconds."""
    refused_seconds: list[float] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    """Descriptions of the first violations."""

    def count_reconnect(self) -> None:
        """Count a request that was sent once more, on a new connection."""
        self.reconnects += 1

    def violate(self, rule: str, what: str) -> None:
        """Count a violation of `rule`, and keep the description of its first ones."""
        self.violations[rule] += 1
        if self.violations[rule] <= _EXAMPLES_OF_A_RULE:
            self.note_violation(f"{rule}: {what}")

    def overdue(self, rule: str, at: float, late: float, what: str) -> None:
        """Count a token that was accepted `late` seconds past the bound of `rule`."""
        self.checked[rule] += 1
        self.overdue_accepts.append((rule, at, late, what))

    def note_violation(self, what: str) -> None:
        """Keep the description of a violation; only the first 10 are kept."""
        if len(self.examples) < 10:
            self.examples.append(what)


@dataclass(slots=True, eq=False)
class Sent:
    """A request that was sent, with its token at that instant.

    Not frozen: one is made for each request, and `object.__setattr__` for each field takes twice as
    long as the request's place in the heap.
    """

    token: bytes
    expires_at: float
    at: float
    is_due: bool
    """Whether the token was due for renewal, so that the response should carry a successor."""
    due_at: float = float("inf")
    identity: Identity | None = None
    """Of the session at that instant: another login has another one."""
    logins: int = 0
    """`ClientSession.logins` at that instant."""


class ClientSession:
    """The tokens of one honest client. Instants are seconds since the barrier.

    Args:
        index: The number of the session.
        buffer: Seconds before expiry at which a token is due for renewal at the latest.
        expected: What is known of the service.

    Attributes:
        renew_at: When the token held is due for renewal.
        identity: What its tokens must say of it; None if that is not checked.
        told_to_wait_until: Until when the last 429 demands to wait; None if its tokens are newer.
        logins: How often its client signed in: a response to a request of an earlier login says
            nothing of the tokens held.

    """

    __slots__ = (
        "_asked",
        "_dropped",
        "_expected",
        "_first_asked",
        "_is_lag_noted",
        "_lost",
        "_successors",
        "buffer",
        "expires_at",
        "identity",
        "index",
        "last_accepted",
        "logins",
        "refresh_expires_at",
        "refresh_token",
        "renew_at",
        "retries",
        "retry_at",
        "revoked_at",
        "sequence",
        "token",
        "told_to_wait_until",
    )

    def __init__(
        self, index: int, buffer: float, expected: Expectations = _NOTHING_EXPECTED
    ) -> None:
        self.index = index
        self.buffer = buffer
        self._expected = expected
        self.identity: Identity | None = None
        self.token = b""
        self.expires_at = self.renew_at = float("-inf")
        self.refresh_token = ""
        self.refresh_expires_at = float("inf")
        self.sequence = -1
        self.revoked_at: float | None = None
        self.last_accepted: float | None = None
        self.retry_at = float("-inf")
        self.retries = 0
        self.told_to_wait_until: float | None = None
        self._successors = RecentPairs(_REMEMBERED)
        self._asked = self._dropped = self.logins = 0
        self._first_asked: dict[str, float] | None = None
        self._is_lag_noted = False
        self._lost = b""

    @property
    def is_silent(self) -> bool:
        """Whether no request was sent with the token held since it became due."""
        return not self._is_lag_noted

    def begin(
        self,
        token: bytes,
        expires_at: float,
        refresh_token: str = "",
        sequence: int = 0,
        refresh_expires_at: float = float("inf"),
        due_at: float | None = None,
    ) -> None:
        """Replace all tokens by those of a new login; without `due_at` only expiry decides."""
        self._successors.clear()
        self._first_asked = self.told_to_wait_until = None
        self.logins += 1
        self.refresh_token, self.sequence = refresh_token, sequence
        self.refresh_expires_at = refresh_expires_at
        self._hold(token, expires_at, due_at)

    def _hold(self, token: bytes, expires_at: float, due_at: float | None) -> None:
        self.token, self.expires_at = token, expires_at
        self.renew_at = expires_at - self.buffer if due_at is None else due_at
        self._asked = self._dropped = 0
        self._is_lag_noted = False

    def visit(self, now: float, tally: Tally) -> None:
        """Record that the client opens a page at `now`; the lag of a due token is counted once."""
        if not self._is_lag_noted and now >= self.renew_at and self.revoked_at is None:
            self._is_lag_noted = True
            tally.lags.append((self.index, now - self.renew_at))
            tally.expired_presented += now >= self.expires_at

    def send(self, now: float) -> Sent:
        """Return a record of a request sent at `now` with the token held."""
        is_due = self.renew_at <= now < self.expires_at
        return Sent(
            self.token, self.expires_at, now, is_due, self.renew_at, self.identity, self.logins
        )

    def answered(
        self,
        sent: Sent,
        status: int,
        successor: bytes | None,
        successor_expires_at: float,
        now: float,
        tally: Tally,
        *,
        successor_due_at: float | None = None,
    ) -> Verdict:
        """Process a response; return ``lost`` if the client has to sign in again."""
        is_over = sent.at >= sent.expires_at + self._expected.leeway + self._expected.clock_error
        tally.checked[EXPIRED] += is_over
        if status == 401:
            return self._refused(sent, now, tally)
        if not 200 <= status < 300:
            return "refused"
        if is_over:
            tally.violate(EXPIRED, f"accepted {sent.at - sent.expires_at:.3f} s after expiry")
        if sent.is_due and sent.at > sent.due_at + self._expected.clock_error:
            tally.checked[UNANSWERED_DUE] += 1
            tally.violations[UNANSWERED_DUE] += successor is None
        if successor is None:
            self._asked += sent.is_due and sent.token == self.token
            return "ok"
        agreed_until = sent.due_at + self._expected.period - self._expected.clock_error
        self._succeed(
            sent.token, successor, now, tally, asked_at=sent.at, agreed_until=agreed_until
        )
        # A late response does not overwrite a newer token.
        if successor_expires_at > self.expires_at:
            self._hold(successor, successor_expires_at, successor_due_at)
        return "renewed"

    def polled(
        self, sent: Sent, status: int, brought: bytes | None, now: float, tally: Tally
    ) -> Verdict:
        """Process the response to a quiet request; a successor is counted and not used."""
        if status == 401:
            return self._refused(sent, now, tally)
        if not 200 <= status < 300:
            return "refused"
        tally.quiet += 1
        if brought is not None:
            tally.quiet_renewed += 1
            tally.note_violation(
                f"session {self.index} was extended by a quiet request at {now:.3f} s"
            )
        return "ok"

    def dropped(self, sent: Sent) -> None:
        """Record that the scenario discarded the response."""
        self._dropped += sent.is_due and sent.token == self.token

    def first_asked(self, presented: str, now: float) -> float:
        """Return when the client first presented a refresh token; it does so at `now`.

        Within the grace all presentations bring the tokens that the first one made.
        """
        if self._first_asked is None:
            self._first_asked = {}
        asked = self._first_asked
        if len(asked) >= _REMEMBERED and presented not in asked:
            del asked[next(iter(asked))]
        return asked.setdefault(presented, now)

    def refreshed(
        self,
        presented: str,
        token: bytes,
        expires_at: float,
        refresh_token: str,
        refresh_expires_at: float,
        sequence: int,
        now: float,
        tally: Tally,
        *,
        asked_at: float | None = None,
    ) -> None:
        """Process a pair of tokens; the pair with the highest sequence is kept."""
        grace, first = self._expected.grace, (self._first_asked or {}).get(presented)
        agreed_until = first + grace if grace and first is not None else math.inf
        self._succeed(
            presented.encode(),
            refresh_token.encode(),
            now,
            tally,
            asked_at=asked_at,
            agreed_until=agreed_until,
        )
        self.retries = 0
        self.told_to_wait_until = None
        if sequence > self.sequence:
            self.sequence = sequence
            self.refresh_token, self.refresh_expires_at = refresh_token, refresh_expires_at
            self._hold(token, expires_at, None)

    def fetched(self, token: bytes, expires_at: float, now: float, tally: Tally) -> None:
        """Process a token fetched from an outside issuer."""
        self._succeed(self.token, token, now, tally)
        self._hold(token, expires_at, None)

    def refresh_refused(self, presented: str, now: float, reason: str, tally: Tally) -> Verdict:
        """Process a refused refresh token; return ``lost`` if it is the one held."""
        is_counted = presented.encode() == self._lost  # by another tab, which signs in
        if presented != self.refresh_token or self.revoked_at is not None or is_counted:
            return "refused"
        self._lost = presented.encode()
        tally.cycles += 1
        if now + self._expected.clock_error >= self.refresh_expires_at:
            tally.lapsed += 1
        else:
            tally.forced_out += 1
            tally.note_violation(f"session {self.index} could not refresh at {now:.3f} s: {reason}")
        return "lost"

    def _succeed(
        self,
        presented: bytes,
        successor: bytes,
        now: float,
        tally: Tally,
        *,
        asked_at: float | None = None,
        agreed_until: float = math.inf,
    ) -> None:
        known = self._successors.get(presented)
        if known is None:
            self._successors.put(presented, successor)
            tally.renewals += 1
            tally.cycles += 1
            tally.renewed_at[int(now * 1000)] += 1
            tally.asked_at[int((now if asked_at is None else asked_at) * 1000)] += 1
        elif known not in (hash(successor), hash(_COUNTED)) and now < agreed_until:
            self._successors.put(presented, _COUNTED)
            tally.duplicate_successors += 1
            tally.note_violation(
                f"session {self.index} got two successors of one token at {now:.3f} s"
            )

    def _refused(self, sent: Sent, now: float, tally: Tally) -> Verdict:
        if self.revoked_at is not None or sent.token == self._lost:
            return "refused"  # as expected, or already counted
        # A refusal by a clock that is ahead is no forced logout.
        if now + self._expected.clock_error < sent.expires_at:
            return self._lose(sent, tally, f"a live token was refused at {now:.3f} s")
        if sent.token != self.token or self.refresh_token:
            return "refused"  # a newer token is held, or will be requested
        if self._asked:
            return self._lose(
                sent, tally, f"{self._asked} responses in the buffer carried no successor"
            )
        if self._dropped:
            tally.by_lost_reply += 1
        else:
            tally.lapsed += 1
        return self._lose(sent, tally, "")

    def _lose(self, sent: Sent, tally: Tally, violation: str) -> Verdict:
        self._lost = sent.token
        if violation:
            tally.forced_out += 1
            tally.note_violation(f"session {self.index}: {violation}")
        if sent.token != self.token:
            return "refused"  # a newer one is held
        tally.cycles += 1
        return "lost"
