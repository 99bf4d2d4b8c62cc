"""The tables of ``linqi.toml`` about lifetimes and renewal of tokens and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.routes import SessionRoutes
from linqi.client.judge import JudgeSettings
from linqi.config.setting import arguments_for, number, setting
from linqi.config.value_types import Boolean, Choice
from linqi.sessions.budget import RenewalBudget
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.renewal import Grid, Jitter, Policy, RenewalSettings, Threshold
from linqi.sessions.revocation import Revocations
from linqi.sessions.sliding import SlidingRenewal

__all__ = [
    "BudgetTable",
    "ClientTable",
    "RenewalTable",
    "SessionsTable",
    "SigningTable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalTable:
    """The lifetime of access tokens, and the renewal of sliding sessions near expiry."""

    sliding: bool | Literal["auto"] = setting(
        Choice((True, False, "auto")),
        "Return a successor on a near-expiry request; auto does so unless [store] keeps refresh"
        " tokens.",
        default="auto",
    )
    lifetime_seconds: float = number(
        "The longest lifetime of an access token.",
        of=(RenewalSettings, "lifetime"),
    )
    longest_lifetime_seconds: float | None = number(
        "The longest lifetime that a token of this deployment ever had, if that is longer: after"
        " lifetime_seconds was lowered, or for tokens that you sign yourself. Longer-lived tokens"
        " are refused, and revocations are kept for this time. A store remembers it by itself.",
        of=(Revocations, "longest_lifetime"),
        default=None,
        example=3600,
    )
    buffer_seconds: float = number(
        "The least time before its expiry in which a token is near expiry, so that a request renews"
        " it; under half the lifetime.",
        of=(RenewalSettings, "buffer"),
    )
    policy: Literal["grid", "plain", "jitter"] = setting(
        Choice(("grid", "plain", "jitter")),
        "When a session renews: at the points of a grid with a phase of its own (no storm), one"
        " buffer before the end of a whole lifetime, or earlier by a random part.",
        default="grid",
    )
    jitter_width: float = number(
        "For policy jitter: the longest random part, as a share of lifetime less buffer.",
        of=(Jitter, "width"),
    )
    max_session_seconds: float = number(
        "The longest life of a sliding session, however active it is; at least the lifetime.",
        of=(RenewalSettings, "max_session"),
    )
    cap_spread: float = number(
        "The share of max_session_seconds by which sessions may end earlier, each by its own hash,"
        " so that sessions of one morning do not end together.",
        of=(RenewalSettings, "cap_spread"),
    )
    hard_margin_seconds: float | None = number(
        "If a token has less time left than this, its renewal is never postponed; below the buffer."
        " By default 10, or a quarter of the buffer if that is less.",
        of=(RenewalSettings, "hard_margin"),
        example=10,
    )
    whole_second_times: bool = setting(
        Boolean(),
        "Whole numbers for iat and exp. Off only for load tests with compressed lifetimes.",
        of=(RenewalSettings, "whole_seconds"),
    )

    @property
    def longest_own_lifetime(self) -> float:
        """The longest life of an own access token that the file knows of, in seconds."""
        return max(self.lifetime_seconds, self.longest_lifetime_seconds or 0.0)

    def settings(self) -> RenewalSettings:
        """Return the settings of renewal and of access tokens."""
        policies: dict[str, Policy] = {
            "grid": Grid(),
            "plain": Threshold(),
            "jitter": Jitter(self.jitter_width),
        }
        return RenewalSettings(**arguments_for(RenewalSettings, self), policy=policies[self.policy])


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTable:
    """How many renewals each process may make per second; the most urgent come first."""

    renewals_per_second: float | None = number(
        "At least 1.5 times sessions / (lifetime - buffer) of one process, or sessions are lost."
        " By default there is no bound.",
        of=(RenewalBudget, "rate"),
        default=None,
        example=50,
    )
    burst: float = number("How many renewals may happen at once.", of=(RenewalBudget, "burst"))

    def build(self) -> RenewalBudget | None:
        """Return the budget; None if it has no limit."""
        if self.renewals_per_second is None:
            return None
        return RenewalBudget(**arguments_for(RenewalBudget, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningTable:
    """How successors of sliding sessions are signed and shared."""

    off_loop: bool | Literal["auto"] = setting(
        Choice((True, False, "auto")),
        "Sign in threads; auto does so for RSA, whose signature takes longer than a request.",
        default="auto",
    )
    memo_seconds: float = number(
        "How long requests with the same token receive the same successor.",
        of=(SlidingRenewal, "memo_seconds"),
    )
    memo_entries: int = number(
        "How many tokens are remembered for that.",
        of=(SlidingRenewal, "memo_entries"),
    )
    wait_seconds: float = number(
        "How long a response may wait for its successor's signature.",
        of=(JWTMiddleware, "wait_seconds"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsTable:
    """How long sessions with refresh tokens last, and how the tokens rotate; needs [store]."""

    idle_seconds: float = number(
        "How long an unused refresh token is valid; each rotation restarts the time.",
        of=(SessionSettings, "idle"),
    )
    absolute_seconds: float = number(
        "The longest life of a session, which no rotation extends; at least idle_seconds.",
        of=(SessionSettings, "absolute"),
    )
    cap_spread: float = number(
        "The share of absolute_seconds by which sessions may end earlier, each by its own hash.",
        of=(SessionSettings, "cap_spread"),
    )
    grace_seconds: float = number(
        "How long after a rotation the replaced token receives the same successor again: for"
        " parallel tabs and repeated requests.",
        of=(SessionSettings, "grace"),
    )
    recover_seconds: float = number(
        "How long after its first rotation a replaced token receives a new successor, if its last"
        " successor was never presented because the reply was lost. A stolen token works as long;"
        " 0 ends the session instead.",
        of=(SessionSettings, "recover_seconds"),
    )
    most_sessions: int = number(
        "The most sessions of one subject; one more ends the oldest.",
        of=(SessionSettings, "most_sessions"),
    )
    most_forgotten: int = number(
        "How many rotations of a session the store may have lost, as in a failover: a refresh"
        " token that is ahead of the store by so many is taken over. Until its newest token is"
        " presented, that many spent ones work once more; 0 ends the session instead.",
        of=(SessionSettings, "most_forgotten"),
    )
    revoke_session: bool = setting(
        Boolean(),
        "Whether POST /revoke with an access token ends its whole session; otherwise only that"
        " token ends, and the other tokens of the session stay valid.",
        of=(SessionRoutes, "revoke_session"),
    )

    def settings(self) -> SessionSettings:
        """Return the settings of `Sessions`."""
        return SessionSettings(**arguments_for(SessionSettings, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTable:
    """How early Python clients renew, for programs that build `linqi.client` from this file."""

    advisory_seconds: float = number(
        "A token is near expiry when it has this time left, unless the server sent refresh_in.",
        of=(JudgeSettings, "advisory"),
    )
    mandatory_seconds: float = number(
        "With less time left than this the token is not sent; at most advisory_seconds.",
        of=(JudgeSettings, "mandatory"),
    )
    share: float = number(
        "Neither threshold is more than this share of the time that a token has when it arrives.",
        of=(JudgeSettings, "share"),
    )
    jitter: float = number(
        "advisory_seconds is longer by up to this share, at random, to spread clients in time.",
        of=(JudgeSettings, "jitter"),
    )

    def settings(self) -> JudgeSettings:
        """Return the renewal thresholds of clients."""
        return JudgeSettings(**arguments_for(JudgeSettings, self))
