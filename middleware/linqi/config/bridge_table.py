"""The table of ``linqi.toml`` about the tokens of an earlier system."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from linqi.config.setting import PATH, VARIABLE, number, setting
from linqi.config.value_types import (
    Boolean,
    Choice,
    ClaimNames,
    Instant,
    RequiredClaims,
    String,
    StringList,
)
from linqi.jose.bridge import Bridge
from linqi.jose.key import ALGORITHMS

__all__ = ["BridgeTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeTable:
    """Tokens of an earlier system without iss, accepted until a date and replaced by own ones."""

    env: str | None = setting(
        VARIABLE,
        "The environment variable that holds the earlier secret, or the public key (PEM, JWK).",
        is_hidden=True,
        example="SECRET_KEY",
    )
    file: str | None = setting(
        PATH, "A file that holds it instead.", example="/run/secrets/secret_key"
    )
    algorithm: str | None = setting(
        Choice(ALGORITHMS),
        "The algorithm of the tokens (HS256 by default for a secret).",
        example="HS256",
    )
    until: datetime.datetime | datetime.date | None = setting(
        Instant(),
        "From here on none of these tokens is accepted. A date is its first instant in UTC.",
        example=datetime.datetime(2027, 3, 1, tzinfo=datetime.UTC),
    )
    lifetime_seconds: float | None = number(
        "The longest exp - iat of these tokens: the lifetime that the earlier system gave them.",
        of=(Bridge, "lifetime"),
        default=None,
        example=1800,
    )
    audience: tuple[str, ...] = setting(
        StringList(),
        "The aud claims that are accepted; by default a token that has one is refused.",
        default=(),
        example=("fastapi-users:auth",),
    )
    issuer: str | None = setting(
        String(),
        "The exact iss of these tokens; by default a token that has one is refused.",
        of=(Bridge, "issuer"),
        example="https://old.shop.example",
    )
    subject_claim: str = setting(
        String(), "The claim that names the user.", of=(Bridge, "subject_claim")
    )
    numeric_subject: bool = setting(
        Boolean(),
        "Whether that claim may be a whole number, which counts as its decimal text.",
        of=(Bridge, "numeric_subject"),
    )
    required_claims: tuple[Any, ...] | dict[str, Any] = setting(
        RequiredClaims(),
        "As of [[issuers]]. A token whose type, token_type or token_use is another than access is"
        " refused unless this accepts it.",
        of=(Bridge, "required_claims"),
        example={"type": "access"},
    )
    types: tuple[str, ...] = setting(
        StringList(least=1),
        "The accepted typ values; it may be absent.",
        of=(Bridge, "types"),
    )
    scope_claims: tuple[Any, ...] = setting(
        ClaimNames(), "The claims that list the scopes.", of=(Bridge, "scope_claims")
    )
    claims: tuple[str, ...] = setting(
        StringList(),
        "Further claims that are taken over into own tokens; all others are left out.",
        of=(Bridge, "claims"),
        example=("roles",),
    )
