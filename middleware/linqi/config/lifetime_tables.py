"""The tables about how long tokens and sessions live, and what renews them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.routes import SessionRoutes
from linqi.client.judge import JudgeSettings
from linqi.config.setting import PATH, VARIABLE, arguments_for, number, setting
from linqi.config.value_types import Boolean, Choice, String
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
    "StoreTable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalTable:
    """How long access tokens live, and how a session slides forward near their expiry."""

    sliding: bool | Literal["auto"] = setting(
        Choice((True, False, "auto")),
        "Hand a successor back on a near-expiry request; auto does so unless [store] keeps"
        " refresh tokens.",
        default="auto",
    )
    lifetime_seconds: float = number(
        "The longest life of one access token.",
        of=(RenewalSettings, "lifetime"),
    )
    longest_lifetime_seconds: float | None = number(
        "The longest life that a token of this deployment ever had, where that is longer: after"
        " lifetime_seconds was lowered, or for tokens of your own making. Longer ones are refused,"
        " and revocations are kept for so long. A store remembers it by itself.",
        of=(Revocations, "longest_lifetime"),
        default=None,
        example=3600,
    )
    buffer_seconds: float = number(
        "How long before its expiry a token is near expiry; under half the lifetime.",
        of=(RenewalSettings, "buffer"),
    )
    policy: Literal["grid", "plain", "jitter"] = setting(
        Choice(("grid", "plain", "jitter")),
        "When a successor expires: phase-locked to its session (no storm), a whole lifetime from"
        " now, or that less a random part.",
        default="grid",
    )
    jitter_width: float = number(
        "For policy jitter: the longest part, as a share of lifetime less buffer.",
        of=(Jitter, "width"),
    )
    max_session_seconds: float = number(
        "The longest life of a sliding session, whatever its activity; at least the lifetime.",
        of=(RenewalSettings, "max_session"),
    )
    cap_spread: float = number(
        "The share of it by which sessions may end earlier, each by its own hash, so that those"
        " of one morning do not end together.",
        of=(RenewalSettings, "cap_spread"),
    )
    hard_margin_seconds: float | None = number(
        "With less life than this left a renewal is never put off; below the buffer. By default"
        " 10, or a quarter of the buffer where that is less.",
        of=(RenewalSettings, "hard_margin"),
        example=10,
    )
    whole_second_times: bool = setting(
        Boolean(),
        "Whole numbers for iat and exp. Off only where lifetimes are compressed for a load test.",
        of=(RenewalSettings, "whole_seconds"),
    )

    @property
    def longest_own_lifetime(self) -> float:
        """The longest life of an own access token that the file knows of, in seconds."""
        return max(self.lifetime_seconds, self.longest_lifetime_seconds or 0.0)

    def settings(self) -> RenewalSettings:
        """Give the settings of the renewal and of every access token."""
        policies: dict[str, Policy] = {
            "grid": Grid(),
            "plain": Threshold(),
            "jitter": Jitter(self.jitter_width),
        }
        return RenewalSettings(**arguments_for(RenewalSettings, self), policy=policies[self.policy])


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTable:
    """How many renewals each process may pay for; the most urgent come first."""

    renewals_per_second: float | None = number(
        "At least 1.5 times sessions / (lifetime - buffer) of one process, or sessions are lost."
        " By default there is no bound.",
        of=(RenewalBudget, "rate"),
        default=None,
        example=50,
    )
    burst: float = number("How many may come at once.", of=(RenewalBudget, "burst"))

    def build(self) -> RenewalBudget | None:
        """Give a budget, if there is to be one."""
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
        "How long requests that present the same token get the same successor.",
        of=(SlidingRenewal, "memo_seconds"),
    )
    memo_entries: int = number(
        "For how many tokens that is remembered.",
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
        "How long a refresh token lives unused; a rotation starts it anew.",
        of=(SessionSettings, "idle"),
    )
    absolute_seconds: float = number(
        "The longest life of a session, which no rotation extends; at least idle_seconds.",
        of=(SessionSettings, "absolute"),
    )
    cap_spread: float = number(
        "The share of it by which sessions may end earlier, each by its own hash.",
        of=(SessionSettings, "cap_spread"),
    )
    grace_seconds: float = number(
        "How long after a rotation the token before it gets the same successor again: parallel"
        " tabs, requests that were sent twice.",
        of=(SessionSettings, "grace"),
    )
    recover_seconds: float = number(
        "How long after its first rotation that token gets a new successor, while the one it got"
        " was never presented: the reply was lost. As long a stolen one may work too; 0 ends the"
        " session instead.",
        of=(SessionSettings, "recover_seconds"),
    )
    most_sessions: int = number(
        "Sessions of one subject; one more ends the oldest.",
        of=(SessionSettings, "most_sessions"),
    )
    revoke_session: bool = setting(
        Boolean(),
        "Whether POST /revoke with an access token ends its whole session; otherwise only that"
        " token ends, and the session's refresh token and other access tokens go on.",
        of=(SessionRoutes, "revoke_session"),
    )

    def settings(self) -> SessionSettings:
        """Give the settings of `Sessions`."""
        return SessionSettings(**arguments_for(SessionSettings, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTable:
    """Where sessions with refresh tokens are kept; without url or url_env there are none."""

    url: str | None = setting(
        String("a store's URL"),
        "memory:, sqlite:PATH, valkey://HOST:PORT/0 or postgresql://USER@HOST/DATABASE.",
        is_hidden=True,
        example="sqlite:sessions.db",
    )
    url_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds it instead: for a URL with a password.",
        is_hidden=True,
        example="SHOP_STORE_URL",
    )
    secrets_file: str | None = setting(
        PATH,
        "A key set of HMAC secrets for refresh tokens, kept apart from the signing keys;"
        " `linqi keygen --alg HS256 --out refresh.json` makes one.",
        example="refresh.json",
    )
    secrets_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds the secret instead, as a JWKS or as text.",
        is_hidden=True,
        example="SHOP_REFRESH_SECRET",
    )
    stale_after_seconds: float = number(
        "After so much silence of the store nobody can tell what was revoked, and"
        " on_revocation_error decides; inf serves on.",
        of=(Revocations, "stale_after"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTable:
    """How early a Python client renews; for programs that make `linqi.client` from this file."""

    advisory_seconds: float = number(
        "Near expiry begins with so much life left, unless the server said refresh_in.",
        of=(JudgeSettings, "advisory"),
    )
    mandatory_seconds: float = number(
        "With less than this left nobody sends the token; at most advisory_seconds.",
        of=(JudgeSettings, "mandatory"),
    )
    share: float = number(
        "Neither is more than this share of the life that a token has when it arrives.",
        of=(JudgeSettings, "share"),
    )
    jitter: float = number(
        "The first is longer by up to this share, at random, so that clients part.",
        of=(JudgeSettings, "jitter"),
    )

    def settings(self) -> JudgeSettings:
        """Give the judge's settings."""
        return JudgeSettings(**arguments_for(JudgeSettings, self))
