"""The table of ``linqi.toml`` about an outside issuer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from linqi.config.setting import PATH, VARIABLE, number, setting
from linqi.config.value_types import (
    Boolean,
    Choice,
    ClaimNames,
    RequiredClaims,
    String,
    StringList,
)
from linqi.introspection.settings import IntrospectionSettings
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import ALGORITHMS
from linqi.jose.opaque_issuer import OpaqueIssuer
from linqi.jwks.access import RemoteAccess
from linqi.jwks.published import KeysFormat
from linqi.jwks.remote import RemoteKeys

__all__ = ["IssuerTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTable:
    """An outside issuer whose tokens are trusted; write one [[issuers]] for each."""

    issuer: str | None = setting(
        String(), "Its exact iss claim.", example="https://id.example/realms/shop"
    )
    tenants: tuple[str, ...] | None = setting(
        StringList(least=1),
        "The tenants that count, if issuer has a placeholder with the name of the claim that must"
        " be equal to them, as in https://login.microsoftonline.com/{tid}/v2.0.",
        example=("8d5c0c1e-6c0d-4c3f-9d56-2f6f1f1d0a11",),
    )
    ask_tenants: bool = setting(
        Boolean(),
        "Whether the application decides instead which tenants count, by tenants= of wrap.",
        default=False,
    )
    audience: tuple[str, ...] = setting(
        StringList(), "The aud claims that are accepted.", default=(), example=("shop",)
    )
    any_audience: bool = setting(Boolean(), "Accept tokens for other APIs too.", default=False)
    algorithms: tuple[str, ...] = setting(
        StringList(f"a list of {', '.join(ALGORITHMS)}", ALGORITHMS, least=1),
        "The accepted signature algorithms.",
        default=(),
        example=("RS256",),
    )
    jwks_url: str | None = setting(
        String("an https URL"),
        "The URL of its key set; by default it is found by OpenID Connect Discovery.",
        of=(RemoteKeys, "url"),
        example="https://id.example/jwks.json",
    )
    discovery_url: str | None = setting(
        String("an https URL"),
        "The URL of its metadata, if the issuer's own is not reachable from here.",
        of=(RemoteKeys, "discovery_url"),
        example="https://keycloak.internal/realms/shop/.well-known/openid-configuration",
    )
    allow_http: bool = setting(
        Boolean(),
        "Whether keys are fetched over http from a host that is not loopback.",
        of=(RemoteAccess, "allow_http"),
    )
    ca_file: str | None = setting(
        PATH,
        "The certificates (PEM) of the authorities that are trusted instead of the public ones.",
        of=(RemoteAccess, "ca_file"),
        example="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    )
    token_file: str | None = setting(
        PATH,
        "A bearer token for the server that has the keys; read for each request.",
        of=(RemoteAccess, "token_file"),
        example="/var/run/secrets/kubernetes.io/serviceaccount/token",
    )
    keys_format: str = setting(
        Choice(get_args(KeysFormat)),
        "The form of the document at jwks_url: a JWKS, or a map of key ids and certificates.",
        of=(RemoteKeys, "keys_format"),
    )
    keys_file: str | None = setting(
        PATH,
        "A key set (JWKS) of its public keys, instead of fetching it, or a PEM with one public key"
        " or its certificate, for the only one of algorithms.",
        example="issuer.json",
    )
    keys_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds its keys instead: a JWKS, a JWK, a PEM, or the secret"
        " of an issuer that signs by HMAC.",
        is_hidden=True,
        example="SUPABASE_JWT_SECRET",
    )
    alb_signer: tuple[str, ...] = setting(
        StringList("a list of ARNs of load balancers"),
        "The AWS load balancers whose x-amzn-oidc-data is accepted; audience is then the client id"
        ' that they have at the issuer, and algorithms is ["ES256"].',
        of=(TrustedIssuer, "alb_signer"),
        default=(),
        example=(
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188",
        ),
    )
    alb_keys_url: str | None = setting(
        String("an https URL"),
        "The URL before the key id of their keys; by default that of AWS for their region.",
        example="https://public-keys.auth.elb.eu-west-1.amazonaws.com",
    )
    introspection_url: str | None = setting(
        String("an https URL"),
        "The endpoint that is asked about its tokens (RFC 7662), which are opaque: the issuer then"
        " has no algorithms and no keys.",
        example="https://id.example/oauth2/introspect",
    )
    client_id: str | None = setting(
        String(),
        "The name of this API at that endpoint.",
        example="shop-api",
    )
    client_secret_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds its secret there.",
        is_hidden=True,
        example="INTROSPECTION_SECRET",
    )
    client_secret_file: str | None = setting(
        PATH, "The file of the secret instead; read for each request.", example="introspection"
    )
    client_auth: Literal["basic", "post"] = setting(
        Choice(("basic", "post")),
        "How both are sent: in the Authorization header, or in the form.",
        default="basic",
    )
    prefixes: tuple[str, ...] = setting(
        StringList(),
        "The beginnings of its opaque tokens; without any, every token that is no JWT is its own.",
        of=(OpaqueIssuer, "prefixes"),
        example=("gho_",),
    )
    introspect_jwts: bool = setting(
        Boolean(),
        "Whether it is asked about JWTs too whose iss names it.",
        of=(OpaqueIssuer, "jwts"),
    )
    trust_seconds: float = number(
        "For how long an answer counts: the longest time for which a token that the issuer revoked"
        " is still accepted.",
        of=(IntrospectionSettings, "trust_seconds"),
    )
    stale_answer_seconds: float = number(
        "How much longer the last answer about a token counts while the issuer cannot be asked.",
        of=(IntrospectionSettings, "stale_seconds"),
    )
    new_per_second: float = number(
        "How many tokens a second a worker asks about that were not active before; further ones"
        " get 503.",
        of=(IntrospectionSettings, "new_per_second"),
    )
    types: tuple[str, ...] = setting(
        StringList(least=1),
        "The accepted typ values, without application/.",
        of=(TrustedIssuer, "types"),
    )
    require_type: bool = setting(
        Boolean(), "Whether typ is required (RFC 9068).", of=(TrustedIssuer, "require_type")
    )
    required_claims: tuple[str | tuple[str, ...] | dict[str, Any], ...] | dict[str, Any] = setting(
        RequiredClaims(),
        "Claims that are required, or a table of the values that each may have, or a list of both;"
        " the name of a nested claim has dots, and a table in the table is what is inside a claim.",
        of=(TrustedIssuer, "required_claims"),
        example=("sub",),
    )
    scope_claims: tuple[str | tuple[str, ...], ...] = setting(
        ClaimNames(),
        'The claims that list the scopes, such as "scp", "permissions" or "realm_access.roles"; a'
        " list of names is a path whose names may have dots.",
        of=(TrustedIssuer, "scope_claims"),
    )
    required: bool = setting(
        Boolean(),
        "Whether the application refuses to start without its keys.",
        of=(RemoteKeys, "required"),
    )
