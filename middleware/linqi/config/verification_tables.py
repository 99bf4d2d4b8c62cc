"""The tables of ``linqi.toml`` about verification: keys, key sets, caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linqi.asgi.middleware import JWTMiddleware
from linqi.config.setting import PATH, VARIABLE, arguments_for, number, setting
from linqi.config.value_types import Boolean, Choice, String, StringList
from linqi.jose.cache import VerifiedCache
from linqi.jose.key import ALGORITHMS
from linqi.jose.limits import TokenLimits
from linqi.jose.verifier import Verifier
from linqi.jwks.freshness import RefreshSettings
from linqi.jwks.http import RemoteLimits
from linqi.jwks.key_file import KeyFile
from linqi.jwks.remote import RemoteKeys
from linqi.sessions.key_announcer import KeyAnnouncer

__all__ = [
    "CacheTable",
    "JwksLimitsTable",
    "JwksTable",
    "KeysTable",
    "VerifyTable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTable:
    """What a token must fulfil to be accepted."""

    issuer: str | None = setting(
        String(),
        "The iss claim of the tokens that this deployment signs: its own URL.",
        example="https://shop.example",
    )
    audience: str | None = setting(
        String(),
        "The aud claim of those tokens: the name of this API.",
        example="shop",
    )
    leeway_seconds: float = number(
        "Tolerance for clocks that differ, at exp, nbf and iat. It never applies to renewal.",
        of=(Verifier, "leeway"),
    )
    on_revocation_error: Literal["closed", "open"] = setting(
        Choice(("closed", "open")),
        "What to do while revocations are unknown: answer 503 (closed), or accept tokens (open).",
        of=(Verifier, "on_revocation_error"),
    )
    bound_tokens: Literal["refuse", "accept"] = setting(
        Choice(("refuse", "accept")),
        "What to do with tokens that are bound to a key (cnf: DPoP, mTLS), whose proof is not"
        " checked here. Accept them only behind a gateway that checks it.",
        of=(Verifier, "bound_tokens"),
    )
    token_max_bytes: int = number(
        "A longer token is refused before it is parsed.",
        of=(TokenLimits, "token_bytes"),
    )
    header_max_bytes: int = number(
        "A token with a longer encoded header is refused; at most token_max_bytes.",
        of=(TokenLimits, "header_bytes"),
    )
    off_loop: tuple[str, ...] = setting(
        StringList(f"a list of {', '.join(ALGORITHMS)}", ALGORITHMS),
        "Algorithms whose signatures are checked in threads; measure first whether it helps.",
        of=(JWTMiddleware, "verify_off_loop"),
        example=("ES256",),
    )

    def settings(self) -> TokenLimits:
        """Return the limits of the verifier."""
        return TokenLimits(**arguments_for(TokenLimits, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysTable:
    """The signing keys of this deployment; this file never holds the keys themselves."""

    file: str | None = setting(
        PATH,
        "A private key set (JWKS) or PEM file; a relative path starts at the folder of this file. A"
        " key set is read again when it changes; `linqi keygen` makes and rotates one.",
        example="keys.json",
    )
    env: str | None = setting(
        VARIABLE,
        "The environment variable that holds the keys instead: a JWKS, a JWK, a PEM or a secret.",
        is_hidden=True,
        example="SHOP_SIGNING_KEY",
    )
    algorithm: str | None = setting(
        Choice(ALGORITHMS),
        "The algorithm of a PEM key, or of a secret (HS256 by default).",
        example="ES256",
    )
    verify_file: str | None = setting(
        PATH,
        "Keys of the other kind (secrets or asymmetric keys) that verify own tokens and sign none,"
        " while you move from HS256 to ES256 or back.",
        example="keys-before.json",
    )
    verify_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds them instead.",
        is_hidden=True,
        example="SHOP_SIGNING_SECRET",
    )
    verify_algorithm: str | None = setting(
        Choice(ALGORITHMS),
        "Their algorithm, for a PEM key or a secret (HS256 by default).",
        example="HS256",
    )
    check_seconds: float = number(
        "How often the file is checked for changes.",
        of=(KeyFile, "check_seconds"),
    )
    announce_seconds: float = number(
        "How often a worker announces its key ids in the store; they last four times as long.",
        of=(KeyAnnouncer, "beat_seconds"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksTable:
    """How often the keys of outside issuers are fetched, and how long they are trusted."""

    lifetime_seconds: float = number(
        "The lifetime of a key set whose response has no Cache-Control.",
        of=(RefreshSettings, "lifetime"),
    )
    least_lifetime_seconds: float = number(
        "The least lifetime, however short max-age is.",
        of=(RefreshSettings, "least_lifetime"),
    )
    most_lifetime_seconds: float = number(
        "The greatest lifetime, however long max-age is: a withdrawn key may verify for this time.",
        of=(RefreshSettings, "most_lifetime"),
    )
    refresh_ahead: float = number(
        "The share of the lifetime after which the keys are fetched again in the background.",
        of=(RefreshSettings, "refresh_ahead"),
    )
    stale_seconds: float = number(
        "How long after their lifetime keys are trusted while the issuer does not answer.",
        of=(RefreshSettings, "stale"),
    )
    cooldown_seconds: float = number(
        "The least time between fetches after a failure or for unknown key ids; at most"
        " least_lifetime_seconds.",
        of=(RefreshSettings, "cooldown"),
    )
    longest_backoff_seconds: float = number(
        "Failures double the time between fetches, up to this.",
        of=(RefreshSettings, "longest_backoff"),
    )
    share_folder: str | None = setting(
        PATH,
        "A private folder by which the processes of a machine share fetched keys.",
        of=(RemoteKeys, "share"),
        example="/run/shop/jwks",
    )
    share_in_store: bool = setting(
        Boolean(),
        "Whether the workers of all machines share fetched keys through the store of [store].",
        default=False,
    )

    def settings(self) -> RefreshSettings:
        """Return the settings of every issuer's `RemoteKeys`."""
        return RefreshSettings(**arguments_for(RefreshSettings, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksLimitsTable:
    """Limits for the responses of issuers, and for the key ids that tokens name."""

    timeout_seconds: float = number(
        "The time limit of one fetch, discovery included.",
        of=(RemoteLimits, "timeout"),
    )
    max_bytes: int = number("The size limit of a response body.", of=(RemoteLimits, "max_bytes"))
    max_keys: int = number("The most keys in a set.", of=(RemoteLimits, "max_keys"))
    unknown_kids: int = number(
        "How many unknown key ids are remembered.",
        of=(RemoteLimits, "unknown_kids"),
    )
    unknown_seconds: float = number(
        "How long a key id that a fetch did not find is refused without another fetch.",
        of=(RemoteLimits, "unknown_seconds"),
    )
    new_kids: int = number(
        "How many unknown key ids are fetched within cooldown_seconds where each key has a URL of"
        " its own (alb_signer).",
        of=(RemoteLimits, "new_kids"),
    )

    def settings(self) -> RemoteLimits:
        """Return the limits of every issuer's `RemoteKeys`."""
        return RemoteLimits(**arguments_for(RemoteLimits, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTable:
    """The cache of verified tokens: a repeated token costs a look-up."""

    enabled: bool = setting(Boolean(), "False verifies every token again.", default=True)
    max_entries: int = number("The most tokens in each process.", of=(VerifiedCache, "max_entries"))
    max_bytes: int = number(
        "The approximate memory in each process.",
        of=(VerifiedCache, "max_bytes"),
    )
    lifetime_seconds: float = number(
        "How long a verification is cached; never past exp, and revocation is checked every time.",
        of=(VerifiedCache, "lifetime"),
    )

    def build(self) -> VerifiedCache | None:
        """Return the cache; None if it is off."""
        return VerifiedCache(**arguments_for(VerifiedCache, self)) if self.enabled else None
