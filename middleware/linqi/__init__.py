"""Verify JSON Web Tokens in front of any ASGI application and renew them near expiry.

```python
signer = Signer(Key.from_secret(secret), issuer="https://shop.example", audience="shop")
renewal = SlidingRenewal(signer)
app = JWTMiddleware(api, Verifier.trusting(signer), renewal=renewal, public=["/login"])

token = renewal.start("alice").token  # inside /login
```
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi import errors, events
    from linqi.asgi.authentication import Authenticate, Person
    from linqi.asgi.claims_guard import RequireClaims
    from linqi.asgi.guards import RequireLogin, RequireScopes, has_scopes, missing_scopes
    from linqi.asgi.jwks_route import jwks_route
    from linqi.asgi.lifespan import Service
    from linqi.asgi.metadata_route import metadata_route
    from linqi.asgi.middleware import JWTMiddleware
    from linqi.asgi.refusal_format import RefusalFacts, RefusalFormat
    from linqi.asgi.refusals import Refusal
    from linqi.asgi.resource_metadata import ResourceMetadata
    from linqi.asgi.routes import SessionRoutes
    from linqi.asgi.sockets import SocketClosedError, SocketSession
    from linqi.asgi.streams import StreamClosedError, StreamSession
    from linqi.asgi.throttle import LoginThrottle
    from linqi.asgi.transports import (
        CookieTransport,
        HeaderTransport,
        NamedHeaderTransport,
        SubprotocolTransport,
        Transport,
    )
    from linqi.errors import ConfigurationError, LinqiError, TokenError
    from linqi.events import Event, Hook
    from linqi.instrumentation.logging import LoggingHook
    from linqi.introspection.introspection import Introspection
    from linqi.introspection.settings import IntrospectionSettings
    from linqi.introspection.state import IntrospectionState
    from linqi.jose.bridge import Bridge
    from linqi.jose.cache import CacheInfo, VerifiedCache
    from linqi.jose.issuers import ANY_AUDIENCE, AnyAudience, TrustedIssuer, own_issuer
    from linqi.jose.key import ALGORITHMS, Key
    from linqi.jose.keys import KeySet, KeySource
    from linqi.jose.limits import TokenLimits
    from linqi.jose.opaque_issuer import OpaqueIssuer
    from linqi.jose.rotation import SigningKeyRotation, rotate
    from linqi.jose.signer import Signer
    from linqi.jose.verified import ANONYMOUS, Anonymous, Verified
    from linqi.jose.verifier import Verifier
    from linqi.jwks.access import RemoteAccess
    from linqi.jwks.alb_keys import AlbKeys
    from linqi.jwks.freshness import RefreshSettings
    from linqi.jwks.http import RemoteLimits
    from linqi.jwks.key_file import KeyFile
    from linqi.jwks.published import SkippedKey
    from linqi.jwks.remote import RemoteKeys
    from linqi.jwks.snapshot import Snapshot
    from linqi.jwks.state import KeysState
    from linqi.jwks.store_share import StoreShare
    from linqi.sessions.authorization import AuthorizeRefresh
    from linqi.sessions.budget import RenewalBudget
    from linqi.sessions.dual import Sessions
    from linqi.sessions.key_announcer import KeyAnnouncer
    from linqi.sessions.pair import TokenPair
    from linqi.sessions.record import Revocation, SessionRecord
    from linqi.sessions.refresh import SessionSettings
    from linqi.sessions.renewal import Grid, Jitter, Policy, RenewalSettings, Threshold, TokenSpan
    from linqi.sessions.revocation import Revocations, RevocationState
    from linqi.sessions.session_page import SessionPage
    from linqi.sessions.sliding import (
        Issued,
        PendingRenewal,
        RenewalCounts,
        SlidingRenewal,
    )
    from linqi.sessions.store import SessionStore
    from linqi.sessions.successor_claims import Authorize
    from linqi.stores.memory import MemoryStore
    from linqi.stores.postgres import PostgresStore
    from linqi.stores.sqlite import SQLiteStore
    from linqi.stores.store_url import open_attempts
    from linqi.stores.valkey import ValkeyStore
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi": ("errors", "events"),
            "linqi.asgi.authentication": ("Authenticate", "Person"),
            "linqi.asgi.claims_guard": ("RequireClaims",),
            "linqi.asgi.guards": (
                "RequireLogin",
                "RequireScopes",
                "has_scopes",
                "missing_scopes",
            ),
            "linqi.asgi.jwks_route": ("jwks_route",),
            "linqi.asgi.lifespan": ("Service",),
            "linqi.asgi.metadata_route": ("metadata_route",),
            "linqi.asgi.middleware": ("JWTMiddleware",),
            "linqi.asgi.refusal_format": ("RefusalFacts", "RefusalFormat"),
            "linqi.asgi.refusals": ("Refusal",),
            "linqi.asgi.resource_metadata": ("ResourceMetadata",),
            "linqi.asgi.routes": ("SessionRoutes",),
            "linqi.asgi.sockets": ("SocketClosedError", "SocketSession"),
            "linqi.asgi.streams": ("StreamClosedError", "StreamSession"),
            "linqi.asgi.throttle": ("LoginThrottle",),
            "linqi.asgi.transports": (
                "CookieTransport",
                "HeaderTransport",
                "NamedHeaderTransport",
                "SubprotocolTransport",
                "Transport",
            ),
            "linqi.errors": ("ConfigurationError", "LinqiError", "TokenError"),
            "linqi.events": ("Event", "Hook"),
            "linqi.instrumentation.logging": ("LoggingHook",),
            "linqi.jose.bridge": ("Bridge",),
            "linqi.jose.cache": ("CacheInfo", "VerifiedCache"),
            "linqi.introspection.introspection": ("Introspection",),
            "linqi.introspection.settings": ("IntrospectionSettings",),
            "linqi.introspection.state": ("IntrospectionState",),
            "linqi.jose.issuers": ("ANY_AUDIENCE", "AnyAudience", "TrustedIssuer", "own_issuer"),
            "linqi.jose.key": ("ALGORITHMS", "Key"),
            "linqi.jose.keys": ("KeySet", "KeySource"),
            "linqi.jose.limits": ("TokenLimits",),
            "linqi.jose.rotation": ("SigningKeyRotation", "rotate"),
            "linqi.jose.signer": ("Signer",),
            "linqi.jose.verified": ("ANONYMOUS", "Anonymous", "Verified"),
            "linqi.jose.verifier": ("Verifier",),
            "linqi.jose.opaque_issuer": ("OpaqueIssuer",),
            "linqi.jwks.access": ("RemoteAccess",),
            "linqi.jwks.alb_keys": ("AlbKeys",),
            "linqi.jwks.freshness": ("RefreshSettings",),
            "linqi.jwks.http": ("RemoteLimits",),
            "linqi.jwks.key_file": ("KeyFile",),
            "linqi.jwks.published": ("SkippedKey",),
            "linqi.jwks.remote": ("RemoteKeys",),
            "linqi.jwks.snapshot": ("Snapshot",),
            "linqi.jwks.state": ("KeysState",),
            "linqi.jwks.store_share": ("StoreShare",),
            "linqi.sessions.authorization": ("AuthorizeRefresh",),
            "linqi.sessions.budget": ("RenewalBudget",),
            "linqi.sessions.dual": ("Sessions",),
            "linqi.sessions.key_announcer": ("KeyAnnouncer",),
            "linqi.sessions.pair": ("TokenPair",),
            "linqi.sessions.record": ("Revocation", "SessionRecord"),
            "linqi.sessions.refresh": ("SessionSettings",),
            "linqi.sessions.renewal": (
                "Grid",
                "Jitter",
                "Policy",
                "RenewalSettings",
                "Threshold",
                "TokenSpan",
            ),
            "linqi.sessions.revocation": ("Revocations", "RevocationState"),
            "linqi.sessions.session_page": ("SessionPage",),
            "linqi.sessions.sliding": (
                "Issued",
                "PendingRenewal",
                "RenewalCounts",
                "SlidingRenewal",
            ),
            "linqi.sessions.store": ("SessionStore",),
            "linqi.sessions.successor_claims": ("Authorize",),
            "linqi.stores.memory": ("MemoryStore",),
            "linqi.stores.postgres": ("PostgresStore",),
            "linqi.stores.sqlite": ("SQLiteStore",),
            "linqi.stores.store_url": ("open_attempts",),
            "linqi.stores.valkey": ("ValkeyStore",),
        },
    )

__version__ = "0.2.0"

__all__ = [
    "ALGORITHMS",
    "ANONYMOUS",
    "ANY_AUDIENCE",
    "AlbKeys",
    "Anonymous",
    "AnyAudience",
    "Authenticate",
    "Authorize",
    "AuthorizeRefresh",
    "Bridge",
    "CacheInfo",
    "ConfigurationError",
    "CookieTransport",
    "Event",
    "Grid",
    "HeaderTransport",
    "Hook",
    "Introspection",
    "IntrospectionSettings",
    "IntrospectionState",
    "Issued",
    "JWTMiddleware",
    "Jitter",
    "Key",
    "KeyAnnouncer",
    "KeyFile",
    "KeySet",
    "KeySource",
    "KeysState",
    "LinqiError",
    "LoggingHook",
    "LoginThrottle",
    "MemoryStore",
    "NamedHeaderTransport",
    "OpaqueIssuer",
    "PendingRenewal",
    "Person",
    "Policy",
    "PostgresStore",
    "RefreshSettings",
    "Refusal",
    "RefusalFacts",
    "RefusalFormat",
    "RemoteAccess",
    "RemoteKeys",
    "RemoteLimits",
    "RenewalBudget",
    "RenewalCounts",
    "RenewalSettings",
    "RequireClaims",
    "RequireLogin",
    "RequireScopes",
    "ResourceMetadata",
    "Revocation",
    "RevocationState",
    "Revocations",
    "SQLiteStore",
    "Service",
    "SessionPage",
    "SessionRecord",
    "SessionRoutes",
    "SessionSettings",
    "SessionStore",
    "Sessions",
    "Signer",
    "SigningKeyRotation",
    "SkippedKey",
    "SlidingRenewal",
    "Snapshot",
    "SocketClosedError",
    "SocketSession",
    "StoreShare",
    "StreamClosedError",
    "StreamSession",
    "SubprotocolTransport",
    "Threshold",
    "TokenError",
    "TokenLimits",
    "TokenPair",
    "TokenSpan",
    "Transport",
    "TrustedIssuer",
    "ValkeyStore",
    "Verified",
    "VerifiedCache",
    "Verifier",
    "errors",
    "events",
    "has_scopes",
    "jwks_route",
    "metadata_route",
    "missing_scopes",
    "open_attempts",
    "own_issuer",
    "rotate",
]
