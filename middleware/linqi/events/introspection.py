"""Events of opaque tokens, whose issuers are asked about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["AnswerRefused", "IntrospectionFailed", "IntrospectionThrottled", "TokenIntrospected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIntrospected:
    """An issuer said whether a token is active."""

    issuer: str
    token_digest: str
    """The first eight hex digits of the token's SHA-256."""
    outcome: Literal["active", "inactive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRefused:
    """An issuer's answer about a token cannot be used: the token is refused."""

    issuer: str
    token_digest: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionFailed:
    """An issuer could not be asked: tokens that are not known get 503 until it can."""

    issuer: str
    detail: str
    failures: int
    """Consecutive failures, this one included."""
    retry_in: float
    """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionThrottled:
    """More tokens were new than an issuer may be asked about; sent once in ten seconds at most."""

    issuer: str
    requests: int
    """Requests that were answered with 503 for it since the last such event."""
