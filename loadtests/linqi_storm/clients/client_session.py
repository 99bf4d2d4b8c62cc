"""A session as its client sees it: its tokens, and the violations in what it receives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["ClientSession", "Sent", "Tally", "Verdict"]

Verdict = Literal["ok", "renewed", "refused", "lost"]

_REMEMBERED: Final = 4
"""Renewals that a client remembers, to detect a second successor of one token."""


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
    accepted_expired: int = 0
    accepted_revoked: int = 0
    accepted_forged: int = 0
    expired_presented: int = 0
    reconnects: int = 0
    silent: int = 0
    quiet: int = 0
    """Quiet requests answered 2xx."""
    quiet_unsent: int = 0
    """Quiet requests not sent, because the token held had expired."""
    quiet_renewed: int = 0
    """Quiet requests answered with a successor: a violation."""
    renewed_at: Counter[int] = field(default_factory=Counter)
    """Distinct successors by millisecond since the barrier."""
    lags: list[tuple[int, float]] = field(default_factory=list)
    """Session index and lag in seconds."""
    refused_seconds: list[float] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    """Descriptions of the first violations."""

    def note_violation(self, what: str) -> None:
        """Keep the description of a violation; only the first 10 are kept."""
        if len(self.examples) < 10:
            self.examples.append(what)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent, with its token at that instant."""

    token: bytes
    expires_at: float
    at: float
    is_due: bool
    """Whether the token was due for renewal, so that the response should carry a successor."""


class ClientSession:
    """The tokens of one honest client. Instants are seconds since the barrier.

    Args:
        index: The number of the session.
        buffer: Seconds before expiry at which the token is due for renewal.

    """

    __slots__ = (
        "_asked",
        "_dropped",
        "_is_lag_noted",
        "_lost",
        "_successors",
        "buffer",
        "expires_at",
        "index",
        "last_accepted",
        "refresh_expires_at",
        "refresh_token",
        "retries",
        "retry_at",
        "revoked_at",
        "sequence",
        "token",
    )

    def __init__(self, index: int, buffer: float) -> None:
        self.index = index
        self.buffer = buffer
        self.token = b""
        self.expires_at = float("-inf")
        self.refresh_token = ""
        self.refresh_expires_at = float("inf")
        self.sequence = -1
        self.revoked_at: float | None = None
        self.last_accepted: float | None = None
        self.retry_at = float("-inf")
        self.retries = 0
        self._successors: dict[bytes, bytes | None] = {}
        self._asked = self._dropped = 0
        self._is_lag_noted = False
        self._lost = b""

    @property
    def renew_at(self) -> float:
        """The instant at which the token held is due for renewal."""
        return self.expires_at - self.buffer

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
    ) -> None:
        """Replace all tokens by those of a new login."""
        self._successors.clear()
        self.refresh_token, self.sequence = refresh_token, sequence
        self.refresh_expires_at = refresh_expires_at
        self._hold(token, expires_at)

    def _hold(self, token: bytes, expires_at: float) -> None:
        self.token, self.expires_at = token, expires_at
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
        return Sent(self.token, self.expires_at, now, self.renew_at <= now < self.expires_at)

    def answered(
        self,
        sent: Sent,
        status: int,
        successor: bytes | None,
        successor_expires_at: float,
        now: float,
        tally: Tally,
    ) -> Verdict:
        """Process a response; return ``lost`` if the client has to sign in again."""
        if status == 401:
            return self._refused(sent, now, tally)
        if not 200 <= status < 300:
            return "refused"
        if sent.at >= sent.expires_at:
            tally.accepted_expired += 1
            tally.note_violation(
                f"a token was accepted {sent.at - sent.expires_at:.3f} s after expiry"
            )
        if successor is None:
            self._asked += sent.is_due and sent.token == self.token
            return "ok"
        self._succeed(sent.token, successor, now, tally)
        # A late response does not overwrite a newer token.
        if successor_expires_at > self.expires_at:
            self._hold(successor, successor_expires_at)
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
    ) -> None:
        """Process a pair of tokens; the pair with the highest sequence is kept."""
        self._succeed(presented.encode(), refresh_token.encode(), now, tally)
        self.retries = 0
        if sequence > self.sequence:
            self.sequence = sequence
            self.refresh_token, self.refresh_expires_at = refresh_token, refresh_expires_at
            self._hold(token, expires_at)

    def fetched(self, token: bytes, expires_at: float, now: float, tally: Tally) -> None:
        """Process a token fetched from an outside issuer."""
        self._succeed(self.token, token, now, tally)
        self._hold(token, expires_at)

    def refresh_refused(self, presented: str, now: float, reason: str, tally: Tally) -> Verdict:
        """Process a refused refresh token; return ``lost`` if it is the one held."""
        if presented != self.refresh_token or self.revoked_at is not None:
            return "refused"
        tally.cycles += 1
        if now >= self.refresh_expires_at:
            tally.lapsed += 1
        else:
            tally.forced_out += 1
            tally.note_violation(f"session {self.index} could not refresh at {now:.3f} s: {reason}")
        return "lost"

    def _succeed(self, presented: bytes, successor: bytes, now: float, tally: Tally) -> None:
        known = self._successors.get(presented, b"")
        if known == b"":
            if len(self._successors) >= _REMEMBERED:
                del self._successors[next(iter(self._successors))]
            self._successors[presented] = successor
            tally.renewals += 1
            tally.cycles += 1
            tally.renewed_at[int(now * 1000)] += 1
        elif known is not None and known != successor:
            self._successors[presented] = None  # a violation counts once per token
            tally.duplicate_successors += 1
            tally.note_violation(
                f"session {self.index} got two successors of one token at {now:.3f} s"
            )

    def _refused(self, sent: Sent, now: float, tally: Tally) -> Verdict:
        if self.revoked_at is not None or sent.token == self._lost:
            return "refused"  # as expected, or already counted
        if now < sent.expires_at:
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
