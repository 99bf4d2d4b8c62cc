"""The tables about whose tokens are believed, and by which keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linqi.asgi.middleware import JWTMiddleware
from linqi.config.setting import PATH, VARIABLE, arguments_for, number, setting
from linqi.config.value_types import Boolean, Choice, RequiredClaims, String, StringList
from linqi.jose.cache import VerifiedCache
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import ALGORITHMS
from linqi.jose.limits import TokenLimits
from linqi.jose.verifier import Verifier
from linqi.jwks.freshness import RefreshSettings
from linqi.jwks.http import RemoteLimits
from linqi.jwks.key_file import KeyFile
from linqi.jwks.remote import RemoteKeys

__all__ = [
    "CacheTable",
    "IssuerTable",
    "JwksLimitsTable",
    "JwksTable",
    "KeysTable",
    "VerifyTable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTable:
    """What a token must be to be let in."""

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
        "Granted where the clocks of machines differ. It never applies to renewal.",
        of=(Verifier, "leeway"),
    )
    on_revocation_error: Literal["closed", "open"] = setting(
        Choice(("closed", "open")),
        "What happens while nobody can tell what was revoked: 503, or serve on.",
        of=(Verifier, "on_revocation_error"),
    )
    bound_tokens: Literal["refuse", "accept"] = setting(
        Choice(("refuse", "accept")),
        "What becomes of tokens that are bound to a key (cnf: DPoP, mTLS), whose proof is not"
        " checked here. Accept them only behind a gateway that checks it.",
        of=(Verifier, "bound_tokens"),
    )
    token_max_bytes: int = number(
        "A longer token is refused before it is looked at.",
        of=(TokenLimits, "token_bytes"),
    )
    header_max_bytes: int = number(
        "The same for its encoded header; at most token_max_bytes.",
        of=(TokenLimits, "header_bytes"),
    )
    off_loop: tuple[str, ...] = setting(
        StringList(f"a list of {', '.join(ALGORITHMS)}", ALGORITHMS),
        "Algorithms whose signatures are checked in threads; measure first whether that helps.",
        of=(JWTMiddleware, "verify_off_loop"),
        example=("ES256",),
    )

    def settings(self) -> TokenLimits:
        """Give the limits of the verifier."""
        return TokenLimits(**arguments_for(TokenLimits, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysTable:
    """The keys that this deployment signs its tokens with; never their material itself."""

    file: str | None = setting(
        PATH,
        "A private key set (JWKS) or PEM file, beside this file where the path is relative. A key"
        " set is read again when it changes; `linqi keygen` makes and rotates one.",
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
        "The algorithm of a PEM key, or of a secret (HS256 where it is absent).",
        example="ES256",
    )
    check_seconds: float = number(
        "How often the file is looked at for a change.",
        of=(KeyFile, "check_seconds"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTable:
    """An outside issuer whose tokens are believed; write one [[issuers]] for each."""

    issuer: str | None = setting(
        String(), "Its exact iss claim.", example="https://id.example/realms/shop"
    )
    audience: tuple[str, ...] = setting(
        StringList(), "The aud claims that are accepted.", default=(), example=("shop",)
    )
    any_audience: bool = setting(
        Boolean(), "Accept tokens that were meant for other APIs too.", default=False
    )
    algorithms: tuple[str, ...] = setting(
        StringList(f"a list of {', '.join(ALGORITHMS)}", ALGORITHMS, least=1),
        "Which signatures count.",
        default=(),
        example=("RS256",),
    )
    jwks_url: str | None = setting(
        String("an https URL"),
        "Where its keys are; by default they are found by OpenID Connect Discovery.",
        of=(RemoteKeys, "url"),
        example="https://id.example/jwks.json",
    )
    keys_file: str | None = setting(
        PATH, "A key set (JWKS) of its public keys, instead of fetching it.", example="issuer.json"
    )
    types: tuple[str, ...] = setting(
        StringList(least=1),
        "Accepted typ values, without application/.",
        of=(TrustedIssuer, "types"),
    )
    require_type: bool = setting(
        Boolean(), "Whether typ must be there (RFC 9068).", of=(TrustedIssuer, "require_type")
    )
    required_claims: tuple[str, ...] | dict[str, str | tuple[str, ...]] = setting(
        RequiredClaims(),
        "Claims that must be there, or what each must be.",
        of=(TrustedIssuer, "required_claims"),
        example=("sub",),
    )
    required: bool = setting(
        Boolean(),
        "Whether the application may not start without its keys.",
        of=(RemoteKeys, "required"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksTable:
    """How often outside issuers are asked for their keys, and how long an answer counts."""

    lifetime_seconds: float = number(
        "For an answer without Cache-Control.",
        of=(RefreshSettings, "lifetime"),
    )
    least_lifetime_seconds: float = number(
        "However short the issuer's max-age is.",
        of=(RefreshSettings, "least_lifetime"),
    )
    most_lifetime_seconds: float = number(
        "However long it is: so long may a withdrawn key go on verifying.",
        of=(RefreshSettings, "most_lifetime"),
    )
    refresh_ahead: float = number(
        "The share of the lifetime after which the keys are fetched anew in the background.",
        of=(RefreshSettings, "refresh_ahead"),
    )
    stale_seconds: float = number(
        "How far past their lifetime keys are believed while the issuer does not answer.",
        of=(RefreshSettings, "stale"),
    )
    cooldown_seconds: float = number(
        "The least time between attempts after a failure, or for the sake of unknown key ids; at"
        " most least_lifetime_seconds.",
        of=(RefreshSettings, "cooldown"),
    )
    longest_backoff_seconds: float = number(
        "Failures double the time between attempts up to this.",
        of=(RefreshSettings, "longest_backoff"),
    )
    share_folder: str | None = setting(
        PATH,
        "A private folder through which the processes of a machine ask as one.",
        of=(RemoteKeys, "share"),
        example="/run/shop/jwks",
    )

    def settings(self) -> RefreshSettings:
        """Give the settings of every issuer's `RemoteKeys`."""
        return RefreshSettings(**arguments_for(RefreshSettings, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksLimitsTable:
    """How much an issuer, and whoever names its keys, may ask of us."""

    timeout_seconds: float = number(
        "For asking an issuer once, discovery included.",
        of=(RemoteLimits, "timeout"),
    )
    max_bytes: int = number("The body of an answer.", of=(RemoteLimits, "max_bytes"))
    max_keys: int = number("Keys in a set.", of=(RemoteLimits, "max_keys"))
    unknown_kids: int = number(
        "How many unknown key ids are remembered.",
        of=(RemoteLimits, "unknown_kids"),
    )
    unknown_seconds: float = number(
        "How long one that a fetch did not bring is refused without another.",
        of=(RemoteLimits, "unknown_seconds"),
    )

    def settings(self) -> RemoteLimits:
        """Give the limits of every issuer's `RemoteKeys`."""
        return RemoteLimits(**arguments_for(RemoteLimits, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTable:
    """Tokens verified a moment ago, so that a repeated one costs a hash and a look-up."""

    enabled: bool = setting(Boolean(), "Without it every token is verified anew.", default=True)
    max_entries: int = number("Tokens in each process.", of=(VerifiedCache, "max_entries"))
    max_bytes: int = number(
        "Memory in each process, about.",
        of=(VerifiedCache, "max_bytes"),
    )
    lifetime_seconds: float = number(
        "How long a verification counts; never past exp, and revocation is asked every time.",
        of=(VerifiedCache, "lifetime"),
    )

    def build(self) -> VerifiedCache | None:
        """Give a cache, if there is to be one."""
        return VerifiedCache(**arguments_for(VerifiedCache, self)) if self.enabled else None
